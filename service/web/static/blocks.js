// Blocked networks: list, add, remove.
import { get, post, query, remove } from "./api.js";
import { attempt, byId, complain, el, newest, once, refuse, time, toast } from "./ui.js";

const own = document.querySelector("meta[name=account]").content;
const newestPage = newest(byId("more"));
let next = null;

function author(block) {
  if (block.created_by === own) return "by you";
  return block.created_by ? `by …${block.created_by.slice(-12)}` : "by an operator";
}

function end(block) {
  if (!block.expires_at) return el("span", { text: "removed" });
  const isOver = new Date(block.expires_at) <= new Date();
  return el("span", {}, time(block.expires_at), isOver ? el("span", { text: ", which has passed" }) : "");
}

async function unblock(block) {
  if (!confirm(`Remove the block of ${block.network}? Its requests are answered again.`)) return;
  await remove(`/admin/blocks/${block.id}`);
  toast(`${block.network} is no longer blocked.`);
  await load();
}

function row(block) {
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: block.network })),
    el("td", { class: "sub detail", text: block.reason }),
    el("td", { class: "sub" }, time(block.created_at), " ", el("span", { title: block.created_by, text: author(block) })),
    el("td", { class: "sub" }, el("span", { class: "narrow-only", text: "until " }), end(block)),
    el("td", { class: "num nowrap" }, el("button", { class: "button small quiet danger", type: "button", text: "Remove", "aria-label": `Remove: ${block.network}`, onclick: attempt(() => unblock(block)) })));
}

async function load({ more = false } = {}) {
  const page = await newestPage(get(`/admin/blocks${query({ per_page: 50, cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#blocks tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId("more").hidden = next === null;
  byId("blocks").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
}

byId("new-block").addEventListener("submit", once(async (event) => {
  byId("fault").hidden = true;
  const until = byId("until").value;
  try {
    const block = await post("/admin/blocks", { network: byId("network").value.trim(), reason: byId("reason").value.trim(), expires_at: until ? new Date(until).toISOString() : null });
    event.target.reset();
    toast(`${block.network} is blocked.`);
    await load();
  } catch (error) { refuse(byId("fault"), error); }
}));
byId("more").addEventListener("click", attempt(() => load({ more: true })));
load().catch(complain);
