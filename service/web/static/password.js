// Sends the password that the holder of a link chooses. The link's token is the address's fragment, which reaches no log.
import { call } from "./api.js";
import { byId } from "./ui.js";

byId("new-password").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fault = byId("fault");
  fault.hidden = true;
  try {
    const body = { token: location.hash.slice(1), password: byId("password").value };
    await call("POST", "/auth/password/link", body, { credentials: "omit" }); // whoever is logged in here
    history.replaceState(null, "", location.pathname);
    event.target.hidden = true;
    byId("done").hidden = false;
  } catch (error) {
    fault.textContent = error.message;
    fault.hidden = false;
  }
});
