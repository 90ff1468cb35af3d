// Search over findings, documents and lessons, and the findings like one: ?q=WORDS, or ?like=SCAN/NUMBER.
import { get, query } from "./api.js";
import { areKeysOn, byId, complain, count, el, explain, percent, time } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";

const FILTERS = ["q", "scope", "category", "kind"];
const WAYS = { words: "same words", meaning: "among the nearest in meaning", index: "index service" };
const NO_WORDS = "Nothing contains these words; these are the nearest in meaning.";
const LIMITS = { all: "", part: " Not everything can be found by its meaning yet.", none: " Only words were searched: there are no vectors yet." };
const KEYS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
let taxonomy;
let like = null; // the finding whose like are shown, until somebody searches for words
let generation = 0;

/** Says how a result was found. Beside results with the words, one without them says so. */
function reasons({ ways, similarity }, wordsOccur) {
  const near = similarity === null ? "" : ` (${percent(Math.max(similarity, 0))})`;
  const without = wordsOccur && !ways.includes("words") ? "without these words, " : "";
  return without + ways.map((way) => WAYS[way]).join(", ") + near;
}

function findingItem({ finding }, reason) {
  return el("li", { class: "card queue-item" },
    el("div", { class: "queue-head" },
      el("span", { class: `tag ${taxonomy.colourOf(finding.category)}`, text: finding.category_title }),
      el("strong", { text: finding.risk }),
      el("span", { class: "sub", text: finding.verdict || "" })),
    el("p", { class: "queue-text" }, el("a", { class: "result", href: `/scans/${finding.scan_id}?finding=${finding.finding}`, text: finding.context })),
    el("p", { class: "sub" }, `${finding.filename || "Pasted text"}${finding.page ? `, page ${finding.page}` : ""}, `, time(finding.created_at), `, ${reason}`));
}

function documentItem({ document: found }, reason) {
  return el("li", { class: "card queue-item" },
    el("div", { class: "queue-head" }, el("span", { class: "tag", text: "Document" }), el("a", { class: "result title", href: `/scans/${found.newest_scan}`, text: found.name || "Pasted text" })),
    el("p", { class: "sub" }, time(found.created_at), `, ${reason}`));
}

function lessonItem({ lesson }, reason) {
  const state = lesson.course_status === "active" ? "" : ` (${lesson.course_status})`;
  return el("li", { class: "card queue-item" },
    el("div", { class: "queue-head" }, el("span", { class: "tag", text: "Lesson" }), el("a", { class: "result title", href: `/courses/${lesson.course_id}/lessons/${lesson.id}`, text: lesson.title })),
    lesson.snippet ? el("p", { class: "queue-text", text: lesson.snippet }) : null,
    el("p", { class: "sub" }, el("a", { href: `/courses/${lesson.course_id}`, text: `${lesson.course_code} ${lesson.course_title}` }), `${state}, ${reason}`));
}

const ITEMS = { finding: findingItem, document: documentItem, lesson: lessonItem };

function show({ items, meaning, index_service, words_occur }, nothing) {
  byId("results").replaceChildren(...items.map((item) => ITEMS[item.kind](item, reasons(item, words_occur))));
  const onlyNear = words_occur === false && items.every(({ ways }) => !ways.includes("index"));
  byId("about").textContent = (items.length ? (onlyNear ? NO_WORDS : `${count(items.length, "result")}, best first.`) : nothing) + LIMITS[meaning] + (index_service === "unavailable" ? " The index service did not answer; the local index answered alone." : "");
}

async function run(loading, nothing) {
  const mine = ++generation;
  byId("about").textContent = "Searching…";
  try {
    const [answer, known] = await Promise.all([loading, taxonomy ?? loadTaxonomy()]);
    taxonomy = known;
    if (mine === generation) show(answer, nothing);
  } catch (error) {
    if (mine !== generation) return;
    byId("results").replaceChildren();
    byId("about").textContent = explain(error);
  }
}

const chosen = () => Object.fromEntries(FILTERS.map((name) => [name, byId(name).value.trim()]));

function search() {
  const wanted = chosen();
  if (wanted.q) like = null;
  history.replaceState(null, "", `/search${query({ like, ...wanted, scope: wanted.scope === "own" ? "" : wanted.scope })}`);
  for (const name of ["category", "kind"]) byId(name).disabled = like !== null; // they narrow no similar findings
  if (like) showLike();
  else if (wanted.q) run(get(`/search${query({ ...wanted, limit: 50 })}`), "Nothing was found.");
  else { generation += 1; byId("results").replaceChildren(); byId("about").textContent = ""; }
}

function showLike() {
  const [scan, n] = like.split("/");
  byId("q").placeholder = "Similar findings";
  run(get(`/scans/${encodeURIComponent(scan)}/findings/${encodeURIComponent(n)}/similar${query({ scope: byId("scope").value, limit: 50 })}`), "No other finding.");
}

/** Moves between the results with the arrow keys, or j and k outside of the field. */
function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    if (event.key.length === 1 && (event.target === byId("q") || !areKeysOn())) return;
    const links = [...document.querySelectorAll("#results a.result")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 && step < 0 ? null : links[at + step];
    if (at === 0 && step < 0) byId("q").focus();
    else if (next) next.focus();
    else return;
    event.preventDefault();
  });
}

async function start() {
  taxonomy = await loadTaxonomy();
  byId("category").append(...taxonomy.categories.map((category) => el("option", { value: category.key, text: category.title })));
  const address = new URLSearchParams(location.search);
  for (const name of FILTERS) if (address.has(name)) byId(name).value = address.get(name);
  like = address.get("like");
  if (like || address.has("q")) search();
  byId("search").dataset.ready = "true";
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
for (const name of FILTERS.slice(1)) byId(name).addEventListener("change", search);
listenToKeys();
start().catch(complain);
