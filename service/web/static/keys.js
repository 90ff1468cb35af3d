// API keys: create, rotate and delete.
import { get, post, remove } from "./api.js";
import { attempt, byId, complain, el, once, showSecret, time } from "./ui.js";

function showOnce({ key, name }) {
  showSecret(byId("shown-key"), el("p", { text: `The key of ${name}. Copy it now: it is not shown again.` }), key);
}

function row(key) {
  const act = (title, label, work, kind = "") => el("button", { class: `button small quiet ${kind}`, type: "button", text: title, "aria-label": label,
    onclick: once(attempt(async () => { await work(); await load(); })) });
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: key.name }), el("br"), el("code", { class: "sub", text: `…${key.hint}` })),
    el("td", { class: "sub", text: key.scopes.join(", ") }),
    el("td", { class: "sub nowrap" }, key.last_used_at ? time(key.last_used_at) : "never"),
    el("td", { class: "sub nowrap" }, key.expires_at ? time(key.expires_at) : "never"),
    el("td", { class: "num nowrap" },
      key.replaced_by ? el("span", { class: "sub", text: "replaced " }) : act("Rotate", `Rotate the key ${key.name}`, async () => showOnce(await post(`/auth/keys/${key.id}/rotation`, {}))),
      act("Delete", `Delete the key ${key.name}`, async () => { if (confirm(`Delete the key ${key.name}? Machines that use it are refused at once.`)) await remove(`/auth/keys/${key.id}`); }, "danger")));
}

async function load() {
  const { items } = await get("/auth/keys?per_page=100");
  document.querySelector("#keys tbody").replaceChildren(...items.map(row));
  byId("keys").hidden = items.length === 0;
  byId("empty").hidden = items.length > 0;
}

byId("new-key").addEventListener("submit", once(attempt(async () => {
  const scopes = [...document.querySelectorAll("input[name=scope]:checked")].map((input) => input.value);
  const days = byId("days").value;
  showOnce(await post("/auth/keys", { name: byId("name").value, scopes, expires_in_days: days ? Number(days) : null }));
  byId("name").value = "";
  await load();
})));
load().catch(complain);
