// Teams: create, search, rename, delete, and change who is in them.
import { get, post, put, query, remove } from "./api.js";
import { attempt, byId, complain, debounced, el, newest, once, time, toast } from "./ui.js";

let next = null;
let open = null; // the team of the dialog, and the cursor of its next members
const newestTeams = newest(byId("more"));

function act(title, name, work, kind = "") {
  return el("button", { class: `button small quiet ${kind}`, type: "button", text: title, "aria-label": `${title}: ${name}`, onclick: attempt(work) });
}

async function rename(team) {
  const name = prompt("Name of the team", team.name);
  if (!name?.trim() || name.trim() === team.name) return;
  await put(`/teams/${team.id}`, { name });
  await load();
}

async function dissolve(team) {
  if (!confirm(`Delete the team ${team.name}? Its members can no longer read what is shared with it.`)) return;
  await remove(`/teams/${team.id}`);
  toast(`${team.name} is deleted.`);
  await load();
}

function row(team) {
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: team.name })),
    el("td", { class: "num" }, el("span", { text: team.n_members.toLocaleString() }), el("span", { class: "sub narrow-only", text: team.n_members === 1 ? " member" : " members" })),
    el("td", { class: "sub nowrap" }, time(team.created_at)),
    el("td", { class: "num nowrap" },
      act("Members", team.name, () => showMembers(team)), act("Rename", team.name, () => rename(team)), act("Delete", team.name, () => dissolve(team), "danger")));
}

async function load({ more = false } = {}) {
  const page = await newestTeams(get(`/teams${query({ scope: "all", per_page: 50, search: byId("search").value.trim(), cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#teams tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId("more").hidden = next === null;
  byId("teams").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
}

/** Returns a handler that shows the error of `work` in the dialog, which covers other messages. */
const inDialog = (work) => async (event) => {
  event.preventDefault();
  const refusal = byId("members-error");
  refusal.hidden = true;
  try { await work(); } catch (error) {
    refusal.textContent = error.message;
    refusal.hidden = false;
  }
};

function memberItem(member) {
  const away = inDialog(async () => {
    await remove(`/teams/${open.team.id}/members/${member.id}`);
    await listMembers();
    byId("email").focus();
  });
  return el("li", { class: "row" }, el("span", { text: member.email }),
    el("button", { class: "button small quiet danger", type: "button", text: "Remove", "aria-label": `Remove: ${member.email}`, onclick: away }));
}

async function listMembers({ more = false } = {}) {
  const page = await get(`/teams/${open.team.id}/members${query({ per_page: 50, cursor: more ? open.next : null })}`);
  open.next = page.next_cursor;
  if (!more) byId("member-list").replaceChildren();
  byId("member-list").append(...page.items.map(memberItem));
  byId("no-members").hidden = byId("member-list").children.length > 0;
  byId("member-list").hidden = !byId("no-members").hidden;
  byId("more-members").hidden = open.next === null;
}

async function showMembers(team) {
  open = { team, next: null };
  byId("members-title").textContent = `Members of ${team.name}`;
  byId("members-error").hidden = true;
  await listMembers();
  byId("members").showModal();
}

/** Returns the account with an e-mail address, whose case does not matter. */
async function accountOf(email) {
  const wanted = email.trim().toLowerCase();
  let cursor = null;
  do {
    const page = await get(`/users${query({ search: wanted, per_page: 200, cursor })}`);
    const account = page.items.find((one) => one.email === wanted);
    if (account) return account;
    cursor = page.next_cursor;
  } while (cursor !== null);
  throw new Error(`No account has the address ${wanted}. Invite the person on the page Users first.`);
}

byId("new-team").addEventListener("submit", once(attempt(async () => {
  const team = await post("/teams", { name: byId("name").value });
  byId("name").value = "";
  await load();
  await showMembers(team);
})));
byId("new-member").addEventListener("submit", once(inDialog(async () => {
  const account = await accountOf(byId("email").value);
  await put(`/teams/${open.team.id}/members/${account.id}`);
  byId("email").value = "";
  await listMembers();
})));
byId("members-close").addEventListener("click", () => byId("members").close());
byId("members").addEventListener("close", () => load().catch(complain));
byId("more-members").addEventListener("click", inDialog(() => listMembers({ more: true })));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", debounced(() => load().catch(complain)));
byId("more").addEventListener("click", attempt(() => load({ more: true })));
load().catch(complain);
