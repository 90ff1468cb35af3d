// The reviewers' queue: judge findings one after the other without opening their documents.
import { get, query } from "./api.js";
import { byId, complain, count, el, newest, percent, runKey } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";
import { settle, undo } from "./judged.js";
import { loadSample, sampleCard } from "./sample.js";

const ABOUT = {
  unsure: "Findings that no reviewer has judged. Those whose score is nearest the threshold come first: there the model learns most.",
  disputed: "Findings on which people differ. A reviewer's verdict decides.",
};
const NOTHING = {
  unsure: "Nothing waits: every finding has been reviewed.",
  disputed: "Nothing is disputed.",
  sample: "Nothing waits: every sentence of the sample has an answer.",
};
const newestCards = newest();
let taxonomy;

const titles = (keys) => (keys.length ? keys.map((key) => taxonomy.typeOf(key)?.title || key).join(", ") : "no risk");

const pathOf = (item) => `/scans/${item.scan_id}/findings/${item.finding}/feedback`;

function card(item) {
  const place = `/scans/${item.scan_id}?finding=${item.finding}`;
  const judge = (verdict, words) => settle(box, { path: pathOf(item), body: { verdict }, words }, loadAndFocus);
  const confirm = () => judge("confirmed", "Confirmed.");
  const reject = () => judge("rejected", "Rejected.");
  const box = el("li", { class: "card queue-item", tabindex: "0", dataset: { path: pathOf(item) }, "aria-label": `${item.risk}: ${item.context}` },
    el("div", { class: "queue-head" },
      el("span", { class: `tag ${taxonomy.colourOf(item.category)}`, text: item.category_title }),
      el("strong", { text: item.risk }),
      el("span", { class: "sub", text: item.score === null ? "" : `${percent(item.score)}${item.threshold === null ? "" : `, threshold ${percent(item.threshold)}`}` })),
    el("p", { class: "queue-text" }, el("mark", { class: `${taxonomy.colourOf(item.category)} s2`, text: item.context })),
    item.answers.length ? el("p", { class: "sub", text: `Answers: ${item.answers.map(titles).join(" / ")}` }) : null,
    el("div", { class: "row" },
      el("button", { class: "button small", type: "button", onclick: confirm }, "Confirm ", el("kbd", { "aria-hidden": "true", text: "y" })),
      el("button", { class: "button small", type: "button", onclick: reject }, "Reject ", el("kbd", { "aria-hidden": "true", text: "n" })),
      el("a", { class: "button small", href: place, text: "Open in its document" }),
      el("span", { class: "sub", text: `${item.filename || "Pasted text"}${item.page ? `, page ${item.page}` : ""}` })));
  box.addEventListener("keydown", (event) => runKey(event, { y: confirm, n: reject, r: () => location.assign(place),
    j: () => box.nextElementSibling?.focus(), k: () => box.previousElementSibling?.focus() }));
  return box;
}

async function loadSentences() {
  const { items, about } = await loadSample();
  if (byId("kind").value === "sample") byId("about").textContent = about;
  return items.map((item) => sampleCard(item, taxonomy, loadAndFocus));
}

async function loadFindings(kind) {
  byId("about").textContent = ABOUT[kind];
  const { items } = await get(`/reviews/queue${query({ kind, category: byId("category").value, per_page: 50 })}`);
  return items.map(card);
}

/** Loads the queue, which leaves the focus where it is: keys judge only on a card. */
async function load() {
  const kind = byId("kind").value;
  byId("category").disabled = kind === "sample"; // a sentence without a finding has no category
  try {
    taxonomy ??= await loadTaxonomy();
    const cards = await newestCards(kind === "sample" ? loadSentences() : loadFindings(kind));
    if (!cards) return;
    byId("queue").replaceChildren(...cards);
    byId("empty").hidden = byId("queue").children.length > 0;
    byId("empty").textContent = NOTHING[kind];
  } catch (error) { complain(error); }
}

/** Loads the queue and goes to the card of `path`, else the first, unless the reviewer is elsewhere by then. */
async function loadAndFocus(path = null) {
  await load();
  if (![document.body, byId("undo")].includes(document.activeElement)) return;
  const cards = [...byId("queue").children];
  (cards.find((one) => one.dataset.path === path) || cards[0])?.focus({ preventScroll: path === null });
}

/** "u" undoes wherever the focus is, also after the last card. */
function listenToUndo() {
  byId("undo").addEventListener("click", () => undo(loadAndFocus));
  document.addEventListener("keydown", (event) => {
    if (!document.querySelector("dialog[open]") && !event.target.closest("input, select")) runKey(event, { u: () => undo(loadAndFocus) });
  });
}

async function loadAgreement() {
  const { items } = await get("/reviews/agreement");
  byId("agreement-section").hidden = items.length === 0;
  document.querySelector("#agreement tbody").replaceChildren(...items.map((row) => el("tr", {},
    el("th", { scope: "row" }, el("span", { class: `dot ${taxonomy.colourOf(row.category)}` }), ` ${row.category_title || "Other"}`),
    el("td", { class: "num", text: count(row.n_judged, "finding") }), el("td", { class: "num", text: percent(row.n_confirmed / row.n_judged) }),
    el("td", { class: "num", text: row.n_pairs.toLocaleString() }), el("td", { class: "num", text: row.n_pairs ? percent(row.n_agreeing / row.n_pairs) : "–" }))));
}

async function start() {
  taxonomy = await loadTaxonomy();
  byId("category").append(...taxonomy.categories.map((category) => el("option", { value: category.key, text: category.title })));
  await loadAndFocus();
  await loadAgreement();
}

const wanted = new URLSearchParams(location.search).get("kind");
if (wanted in NOTHING) byId("kind").value = wanted;
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", load);
listenToUndo();
start().catch(complain);
