// The dialog in which an owner shares a document, a scan or a session with teams of theirs.
import { getAll, put, remove } from "./api.js";
import { attempt, byId, el } from "./ui.js";

const say = (message) => { byId("share-status").textContent = message; }; // the dialog covers toasts

function choice(path, team, isShared) {
  const box = el("input", { type: "checkbox", checked: isShared });
  box.addEventListener("change", async () => {
    const place = `${path}/teams/${team.id}`;
    box.disabled = true;
    try {
      await (box.checked ? put(place) : remove(place));
      say(box.checked ? `Shared with ${team.name}.` : `No longer shared with ${team.name}.`);
    } catch (error) {
      box.checked = !box.checked;
      say(error.message);
    } finally {
      box.disabled = false;
      box.focus();
    }
  });
  return el("label", { class: "check" }, box, ` ${team.name}`);
}

async function show({ path, about }) {
  const [teams, shares] = await Promise.all([getAll("/teams"), getAll(`${path}/teams`)]);
  const shared = new Set(shares.map(({ id }) => id));
  const own = new Set(teams.map(({ id }) => id));
  const listed = [...teams, ...shares.filter(({ id }) => !own.has(id))].sort((a, b) => a.name.localeCompare(b.name));
  say("");
  byId("share-about").textContent = listed.length ? about : "You are in no team. Administrators form teams.";
  byId("share-teams").replaceChildren(byId("share-teams").firstElementChild, ...listed.map((team) => choice(path, team, shared.has(team.id))));
  byId("share").showModal();
}

/** Opens the dialog at a click on `button`; `target` returns the path below /api/v1 and what members can read. */
export function listenToShare(button, target) {
  button.addEventListener("click", attempt(() => show(target())));
}
