// Accounts: invite, search, change roles, disable, enable, reset passwords, delete.
import { call, get, post, query, remove } from "./api.js";
import { byId, complain, debounced, el, newest, once, showSecret, time, toast } from "./ui.js";

const ROLES = [...byId("role").options].map((option) => option.value);
const own = document.querySelector("meta[name=account]").content;
const STATE_TITLES = { sso: "single sign-on" };
const LINK_TITLES = { invited: "New link", sso: "Allow a password" };
const newestPage = newest(byId("more"));
let next = null;

function showLink(email, { path, expires_at }) {
  showSecret(byId("link"), el("p", {}, `Send this link to ${email}. It works once, until `, time(expires_at), "."), location.origin + path);
}

const change = (account, body) => call("PATCH", `/users/${account.id}`, body);

/** Returns the field of a role and the button that saves it: arrow keys alone, which pass by every role, assign none. */
function roleField(account, redraw) {
  const select = el("select", { "aria-label": `Role of ${account.email}` }, ...ROLES.map((role) => el("option", { text: role, selected: role === account.role })));
  const save = el("button", { class: "button small", type: "button", text: "Save", "aria-label": `Save the role of ${account.email}`, hidden: true });
  select.addEventListener("change", () => { save.hidden = select.value === account.role; });
  save.addEventListener("click", async () => {
    const role = select.value;
    try {
      await change(account, { role });
      account.role = role;
      toast(`${account.email} is now ${role}.`);
      if (!save.isConnected) return await redraw(account);
      save.hidden = select.value === role;
      select.focus();
    } catch (error) { complain(error); }
  });
  return [select, " ", save];
}

function actions(account, redraw) {
  const act = (title, work, kind = "") => el("button", { class: `button small quiet ${kind}`, type: "button", text: title, "aria-label": `${title}: ${account.email}`,
    onclick: () => work().catch(complain) });
  const toggle = async (is_disabled) => redraw(await change(account, { is_disabled }));
  const away = async () => {
    if (!confirm(`Delete ${account.email} with all scans, documents and files? This cannot be undone.`)) return;
    await remove(`/users/${account.id}`);
    await redraw(null);
  };
  return [
    act(LINK_TITLES[account.state] ?? "Reset password", async () => showLink(account.email, await post(`/users/${account.id}/password-link`, {}))),
    account.state === "disabled" ? act("Enable", () => toggle(false)) : account.id !== own && act("Disable", () => toggle(true)),
    account.id !== own && act("Delete", away, "danger"),
  ].filter(Boolean);
}

function row(account) {
  const redraw = async (changed) => {
    if (!line.isConnected) await load(); // the list was loaded again meanwhile
    else if (changed) line.replaceWith(row(changed));
    else line.remove();
  };
  const line = el("tr", {},
    el("td", {}, el("span", { class: "title", text: account.email }), account.id === own ? el("span", { class: "sub", text: " (you)" }) : ""),
    el("td", { class: "nowrap" }, ...roleField(account, redraw)),
    el("td", {}, el("span", { class: `badge ${account.state}`, text: STATE_TITLES[account.state] ?? account.state })),
    el("td", { class: "sub nowrap" }, time(account.created_at)),
    el("td", { class: "num nowrap" }, ...actions(account, redraw)));
  return line;
}

async function load({ more = false } = {}) {
  const filters = { search: byId("search").value.trim(), role: byId("with-role").value, state: byId("state").value };
  const page = await newestPage(get(`/users${query({ per_page: 50, ...filters, cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#accounts tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId("more").hidden = next === null;
  byId("accounts").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
}

byId("invitation").addEventListener("submit", once(async () => {
  try {
    const invited = await post("/users", { email: byId("email").value, role: byId("role").value });
    showLink(invited.email, invited.password_link);
    byId("email").value = "";
    await load();
  } catch (error) { complain(error); }
}));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", debounced(() => load().catch(complain)));
byId("more").addEventListener("click", () => load({ more: true }).catch(complain));
load().catch(complain);
