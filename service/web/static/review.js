// The review page: loads a scan and its document, and turns keys and buttons into verdicts.
import { ApiError, get } from "./api.js";
import { areKeysOn, attempt, byId, complain, count, el, time, toast } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";
import { Review, fetchFirst, verdictOf } from "./review-state.js";
import { TextPane } from "./text-pane.js";
import { WORDS, riskOf } from "./finding-detail.js";
import { FindingList } from "./finding-list.js";
import { pickTypes } from "./picker.js";
import { listenToHistory } from "./history.js";
import { showScores } from "./scores.js";
import { listenToShare } from "./share.js";
import { risksOf } from "./risk-of-finding.js";
import { coursesOf } from "./courses-of-finding.js";
import { guardLeaving } from "./unsaved.js";

const page = byId("review");
const isReviewer = document.querySelector("meta[name=permissions]").content.split(" ").includes("review");
const isOwn = (object) => object.user_id === page.dataset.visitor;
const narrow = matchMedia("(max-width: 900px)");

function showHead(review, document_) {
  const { scan } = review;
  const name = document_?.name || scan.filename || "Pasted text";
  document.title = `${name} · Riskscan`;
  byId("name").textContent = name;
  const n = document_?.n_pages ?? scan.coverage.pages;
  const newest = document_?.versions[0].version;
  const version = newest > 1 ? `Version ${document_.version} of ${newest}, ` : "";
  byId("about").replaceChildren(version, n ? `${count(n, "page")}, ` : "", `${count(scan.coverage.sentences ?? 0, "sentence")}, scanned `, time(scan.timestamp),
    ` with ${scan.model_name}${scan.sensitivity && scan.sensitivity !== "balanced" ? `, for ${scan.sensitivity}` : ""}`);
  byId("warnings").hidden = scan.warnings.length === 0;
  byId("warning-list").replaceChildren(...scan.warnings.map((warning) => el("li", { text: warning.message })));
}

function showProgress(review) {
  const all = review.entries.length;
  byId("progress").max = Math.max(all, 1);
  byId("progress").value = review.nReviewed;
  byId("progress-text").textContent = all ? `${review.nReviewed} of ${all} reviewed` : "Nothing to review";
  byId("undo").disabled = review.undoable.length === 0;
}

/** Shows the findings' sentences where the text is not stored. */
function showSentences(review, reason) {
  const draw = () => byId("text").replaceChildren(
    el("p", { class: "notice", text: `${reason} These are the sentences of the findings.` }),
    ...review.visible().map((entry) => el("p", { class: "lone-sentence" },
      el("mark", { class: `${review.taxonomy.colourOf(entry.category)} s3 is-${verdictOf(entry)}${entry === review.selected ? " is-selected" : ""}`, dataset: { keys: entry.key }, text: entry.context }))));
  byId("text").addEventListener("click", (event) => {
    const mark = event.target.closest("mark");
    if (mark) review.select(review.byKey(mark.dataset.keys));
  });
  for (const kind of ["change", "filter", "select"]) review.addEventListener(kind, draw);
  review.addEventListener("select", () => byId("text").querySelector("mark.is-selected")?.scrollIntoView({ block: "nearest" }));
  draw();
}

/** Returns the span whose scores the visitor wants: the selected text, else the selected finding. */
function spanOfInterest(review, pane) {
  const selected = pane.selectedSpan();
  const entry = review.selected;
  const isWithin = selected && entry?.start !== null && entry?.start <= selected.start && entry?.end >= selected.end;
  if (selected && !isWithin) return { start: selected.start, end: selected.end, riskType: null };
  return entry && entry.start !== null ? { start: entry.start, end: entry.end, riskType: entry.risk_type } : null;
}

/** Stores a verdict, and tells screen readers so and which finding is next. */
async function judge(review, entry, body) {
  await review.judge(entry, body);
  const { selected, taxonomy } = review;
  const next = !selected || selected === entry ? "" : ` Next: ${riskOf(selected, taxonomy)}: ${selected.context}`;
  byId("spoken").textContent = `${WORDS[verdictOf(entry)]}.${next}`;
}

function actionsOn(review, pane) {
  const canJudge = isReviewer || isOwn(review.scan);
  const isAllowed = () => {
    if (!canJudge) toast("Only the owner and reviewers judge the findings of this scan.", { bad: true });
    return canJudge;
  };
  const judged = (verdict) => attempt(async () => {
    const entry = review.selected;
    if (!isAllowed()) return;
    if (entry?.kind !== "finding" || entry.isSaving) return;
    await judge(review, entry, { verdict });
  });
  return {
    isReviewer,
    canJudge,
    confirm: judged("confirmed"),
    reject: judged("rejected"),
    relabel: attempt(async () => {
      if (!isAllowed()) return;
      const entry = review.selected;
      if (entry?.kind !== "finding") return;
      const types = await pickTypes(review.taxonomy, { title: "Relabel", quote: entry.context, without: null });
      if (!types) return;
      if (types.length === 1 && types[0] === entry.risk_type) await judge(review, entry, { verdict: "confirmed" });
      else await judge(review, entry, { verdict: "relabelled", risk_types: types });
    }),
    mark: attempt(async () => {
      if (!isAllowed()) return;
      if (!pane) { toast("The text of this document is not stored, so nothing can be marked in it.", { bad: true }); return; }
      const span = pane.selectedSpan();
      if (!span) { toast("Select the sentence first: with the mouse, or with ] and [."); return; }
      const types = await pickTypes(review.taxonomy, { title: "Mark a missed risk", quote: span.context });
      if (!types) return;
      await review.report(span, types);
      getSelection().removeAllRanges();
      toast("Marked as missed.");
    }),
    comment: (entry, text) => attempt(async () => {
      await review.comment(entry, text);
      toast(text ? "Comment saved." : "Comment removed.");
    })(),
    why: pane && attempt(async () => {
      const span = spanOfInterest(review, pane);
      if (!span) { toast("Select a finding or a sentence first."); return; }
      await showScores(review, pane.document, span);
    }),
    undo: attempt(async () => { if (!await review.undo()) toast("Nothing to undo."); }),
    sentence: (by) => attempt(async () => { if (pane) await pane.stepSentence(by); })(),
  };
}

function listenToKeys(review, actions) {
  const help = () => { byId("keys-on").checked = areKeysOn(); byId("help").showModal(); };
  const keys = {
    j: () => review.step(1), k: () => review.step(-1), y: actions.confirm, n: actions.reject, r: actions.relabel, m: actions.mark, u: actions.undo, c: () => byId("comment")?.focus(), w: actions.why,
    "]": () => actions.sentence(1), "[": () => actions.sentence(-1), "?": help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select") || !(areKeysOn() || event.key === "?")) return;
    const run = keys[event.key];
    if (run) { event.preventDefault(); run(); }
  });
  byId("help-open").addEventListener("click", help);
  byId("undo").addEventListener("click", actions.undo);
  byId("keys-on").addEventListener("change", (event) => { try { localStorage.setItem("keys", event.target.checked ? "on" : "off"); } catch { /* this page only */ } });
}

function listenToFilters(review) {
  const all = byId("f-category").firstElementChild;
  let nShown = -1;
  const fill = () => {
    if (nShown === review.entries.length) return;
    nShown = review.entries.length;
    const { value } = byId("f-category");
    byId("f-category").replaceChildren(all, ...review.categories().map(({ category, title, n }) => el("option", { value: category, text: `${title} (${n})` })));
    byId("f-category").value = value;
  };
  fill();
  review.addEventListener("filter", fill);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("change", () => review.setFilters({
    category: byId("f-category").value, verdict: byId("f-verdict").value, score: Number(byId("f-score").value) }));
}

function listenToViews(review) {
  const panes = document.querySelector(".panes");
  const show = (view) => {
    panes.dataset.view = view;
    for (const button of document.querySelectorAll(".switch button")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  };
  document.querySelector(".switch").addEventListener("click", (event) => { if (event.target.dataset.view) show(event.target.dataset.view); });
  byId("findings").addEventListener("click", () => { if (narrow.matches) { show("text"); review.select(review.selected); } });
}

/** Shows the button beside a selection, for those who review with a mouse or a finger. */
function listenToSelection(pane, actions) {
  const marker = byId("marker");
  document.addEventListener("selectionchange", () => {
    const selection = getSelection();
    const isInText = !selection.isCollapsed && byId("text").contains(selection.anchorNode) && pane;
    marker.hidden = !isInText;
    if (!isInText) return;
    const place = selection.getRangeAt(0).getBoundingClientRect();
    marker.style.left = `${Math.max(8, Math.min(innerWidth - 220, place.left))}px`;
    marker.style.top = `${Math.min(innerHeight - 60, place.bottom + 6)}px`;
  });
  marker.addEventListener("mousedown", (event) => event.preventDefault());
  byId("mark").hidden = !actions.canJudge;
  byId("mark").addEventListener("click", actions.mark);
  if (actions.why) byId("scores-open").addEventListener("click", actions.why);
}

async function loadDocument(scan) {
  if (!scan.document_id) return null;
  try { return await get(`/documents/${scan.document_id}`); } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Lets the owner share the document, or the scan alone if it has none. */
function offerSharing(scan, document_) {
  byId("share-open").hidden = !isOwn(scan);
  const target = document_ ? { path: `/documents/${document_.id}`, about: "Members read this document, its text and all its scans. Other versions of it are shared on their own." }
    : { path: `/scans/${scan.scan_id}`, about: "Members read this scan and its findings." };
  listenToShare(byId("share-open"), () => target);
}

async function start() {
  const scanning = get(`/scans/${page.dataset.scan}`);
  const [scan, document_, taxonomy, first, risks] = await Promise.all([scanning, scanning.then(loadDocument), loadTaxonomy(), fetchFirst(page.dataset.scan), get(`/scans/${page.dataset.scan}/risks`)]);
  const review = new Review(scan, taxonomy, first);
  guardLeaving(() => review.drafts.size > 0);
  showHead(review, document_);
  const pane = document_?.pages.length ? new TextPane(review, document_) : null;
  const judging = actionsOn(review, pane);
  const actions = { ...judging, risksOf: risksOf(review, risks.items, judging), coursesOf: isOwn(scan) ? coursesOf(review) : () => null };
  if (!pane) showSentences(review, document_?.text_reason || "The text of this document is not stored.");
  new FindingList(review, actions);
  listenToKeys(review, actions);
  listenToFilters(review);
  listenToViews(review);
  if (document_) listenToHistory(review, document_, { isOwn: isOwn(document_) });
  listenToSelection(pane, actions);
  offerSharing(scan, document_);
  for (const kind of ["change", "filter"]) review.addEventListener(kind, () => showProgress(review));
  showProgress(review);
  page.dataset.ready = "true";
  const place = new URLSearchParams(location.search);
  const rest = review.loadRest().catch(complain);
  if (pane && place.has("at")) { await pane.showSentence(Number(place.get("at"))); await rest; return; }
  const wanted = `f${place.get("finding")}`;
  const selectOne = () => {
    const entry = review.byKey(wanted) || review.entries.find((other) => verdictOf(other) === "open") || review.entries[0];
    if (entry) review.select(entry);
  };
  const isPending = place.has("finding") && !review.byKey(wanted);
  if (!isPending) selectOne();
  await rest;
  if (isPending || !review.selected) selectOne();
}

start().catch((error) => {
  byId("name").textContent = error.status === 404 ? "No such scan" : "This scan cannot be shown";
  byId("text").replaceChildren(el("p", { class: "notice bad", role: "alert", text: error.message }));
});
