// The visitor's settings, password and log-ins.
import { call, get, put, remove } from "./api.js";
import { byId, complain, el, time, toast } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";

function show(settings, known) {
  const earlier = Object.keys(settings.thresholds).filter((key) => !known.some((category) => category.key === key));
  const categories = [...known, ...earlier.map((key) => ({ key, title: `${key} (earlier model)` }))];
  byId("sensitivity").value = settings.sensitivity;
  byId("force-llm").checked = settings.force_llm;
  byId("store-text").value = settings.store_text;
  byId("store-original").checked = settings.store_original;
  byId("retention").value = settings.retention_days ?? "";
  byId("thresholds").replaceChildren(...categories.map((category) => el("label", {}, el("span", { text: category.title }),
    el("input", { type: "number", min: 0, max: 100, step: "any", dataset: { category: category.key }, value: category.key in settings.thresholds ? Math.round(settings.thresholds[category.key] * 1000) / 10 : null }))));
}

function entered() {
  const thresholds = {};
  for (const input of document.querySelectorAll("#thresholds input")) if (input.value !== "") thresholds[input.dataset.category] = Number(input.value) / 100;
  return { sensitivity: byId("sensitivity").value, force_llm: byId("force-llm").checked, store_text: byId("store-text").value, store_original: byId("store-original").checked,
    retention_days: byId("retention").value === "" ? null : Number(byId("retention").value), thresholds };
}

async function loadLogins() {
  const { items } = await get("/auth/logins?per_page=100");
  document.querySelector("#logins tbody").replaceChildren(...items.map((login) => el("tr", {},
    el("td", {}, login.client_address || "unknown", login.is_current ? el("span", { class: "sub", text: " this browser" }) : null),
    el("td", { class: "sub nowrap" }, time(login.created_at)), el("td", { class: "sub nowrap" }, login.last_used_at ? time(login.last_used_at) : "–"),
    el("td", { class: "num" }, login.is_current ? null : el("button", { class: "button small quiet danger", type: "button", text: "End", "aria-label": `End the log-in from ${login.client_address}`,
      onclick: async () => { try { await remove(`/auth/logins/${login.id}`); await loadLogins(); } catch (error) { complain(error); } } })))));
}

async function start() {
  const [settings, { categories }] = await Promise.all([get("/settings"), loadTaxonomy()]);
  show(settings, categories);
  byId("settings").addEventListener("submit", async (event) => {
    event.preventDefault();
    try { show(await put("/settings", entered()), categories); toast("Saved."); } catch (error) { complain(error); }
  });
}

byId("password").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await put("/auth/password", { current_password: byId("current").value, new_password: byId("new").value });
    event.target.reset();
    toast("The password is changed.");
    await loadLogins();
  } catch (error) { complain(error); }
});
byId("deletion").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await call("DELETE", "/auth/me", { password: byId("deletion-password").value });
    location.assign("/login");
  } catch (error) { complain(error); }
});
start().catch(complain);
loadLogins().catch(complain);
