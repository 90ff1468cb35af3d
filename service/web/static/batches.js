// Batches of documents: send one, watch it, cancel it, scan what failed again.
import { get, post, query, remove, upload } from "./api.js";
import { attempt, byId, bytes, complain, count, el, newest, numberAlike, once, time, toast, unreadMark } from "./ui.js";
import { UploadRow, listenToChosen, listenToDropped } from "./uploads.js";

const REFRESH_MS = 1500;
const STATES = { queued: "waiting", running: "running", finished: "finished", cancelled: "cancelled" };
const RESULTS = { waiting: "Waits", running: "Scanning…", cancelled: "Cancelled" };
const newestList = newest(byId("more-batches"));
const newestItems = newest();
let batches = [];
let nextBatches = null;
let selected = null;
let nextItems = null;

const isOpen = (batch) => batch.state === "queued" || batch.state === "running";
const nEnded = (batch) => batch.n_items - batch.n_waiting - batch.n_running;
const isZip = (file) => file.name.toLowerCase().endsWith(".zip");

function duration(seconds) {
  if (seconds < 90) return count(Math.max(1, seconds), "second");
  return seconds < 5400 ? count(Math.round(seconds / 60), "minute") : count(Math.round(seconds / 3600), "hour");
}

function summary(batch) {
  const parts = [`${nEnded(batch).toLocaleString()} of ${count(batch.n_items, "document")}`];
  if (batch.n_failed) parts.push(`${batch.n_failed.toLocaleString()} failed`);
  if (batch.n_cancelled) parts.push(`${batch.n_cancelled.toLocaleString()} cancelled`);
  parts.push(STATES[batch.state]);
  if (batch.seconds_left) parts.push(`about ${duration(batch.seconds_left)} left`);
  return parts.join(", ");
}

function pick(batch) {
  return el("li", {}, el("button", { type: "button", "aria-current": batch.id === selected?.id ? "true" : "false", onclick: attempt(() => select(batch)) },
    el("span", { class: "pick-name", text: batch.name }), el("progress", { max: batch.n_items, value: nEnded(batch), "aria-label": `Progress of ${batch.name}` }),
    el("span", { class: "sub", text: summary(batch) }), el("span", { class: "sub" }, time(batch.created_at))));
}

function showList() {
  const focused = [...byId("batches").querySelectorAll("button")].indexOf(document.activeElement);
  byId("batches").hidden = batches.length === 0;
  byId("no-batches").hidden = batches.length > 0;
  byId("more-batches").hidden = nextBatches === null;
  byId("batches").replaceChildren(...batches.map(pick));
  numberAlike(byId("batches").children);
  if (focused >= 0) byId("batches").querySelectorAll("button")[focused]?.focus();
}

function result(item) {
  if (item.state === "failed") return el("span", { class: "bad", text: item.problem.detail });
  if (item.state !== "done") return el("span", { class: "sub", text: RESULTS[item.state] });
  if (!item.scan_id) return el("span", { class: "sub", text: "The scan was deleted" });
  return el("a", { class: "button small primary", href: `/scans/${item.scan_id}`, "aria-label": `Review ${item.name || "the text"}`, text: `Review ${count(item.n_findings, "finding")}` });
}

function itemRow(item) {
  return el("tr", { dataset: { state: item.state } }, el("td", { class: "num sub", text: item.position.toLocaleString() }), el("td", { class: "title", text: item.name || "Pasted text" }),
    el("td", { class: "num sub nowrap", text: bytes(item.size_bytes) }), el("td", {}, result(item), " ", unreadMark(item.warnings)));
}

function showBatch() {
  byId("batch-card").hidden = !selected;
  if (!selected) return;
  byId("batch-name").textContent = selected.name;
  byId("progress").max = selected.n_items;
  byId("progress").value = nEnded(selected);
  const text = summary(selected);
  if (byId("progress-text").textContent !== text) byId("progress-text").textContent = text;
  byId("retry").hidden = !selected.n_failed || selected.state === "cancelled";
  byId("end").textContent = isOpen(selected) ? "Cancel" : "Delete";
}

async function loadItems({ more = false } = {}) {
  if (!selected) return;
  const { id } = selected;
  const shown = byId("state").value;
  const which = shown === "unread" ? { warnings: true } : { state: shown };
  const filters = { ...which, per_page: 100, after: more ? nextItems : null };
  const loading = get(`/batches/${id}/items${query(filters)}`);
  const page = await (more ? loading : newestItems(loading));
  if (!page || selected?.id !== id || byId("state").value !== shown) return;
  const body = document.querySelector("#items tbody");
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  nextItems = page.next_after;
  if (more) body.append(...page.items.map(itemRow));
  else body.replaceChildren(...page.items.map(itemRow));
  if (focused) body.querySelector(`a[href="${focused}"]`)?.focus();
  byId("items").hidden = byId("items").querySelectorAll("tbody tr").length === 0;
  byId("no-items").hidden = !byId("items").hidden;
  byId("more-items").hidden = nextItems === null;
}

async function select(batch) {
  selected = batch;
  if (batch) history.replaceState(null, "", `?batch=${batch.id}`);
  showList();
  showBatch();
  await refreshSelected();
  await loadItems();
}

/** Replaces the selected batch by its present state, unless another one was selected meanwhile; returns whether it has changed. */
async function refreshSelected() {
  if (!selected) return false;
  const { id } = selected;
  const before = summary(selected);
  const present = await get(`/batches/${id}`);
  if (selected?.id !== id) return false;
  batches = batches.map((batch) => (batch.id === present.id ? present : batch));
  selected = present;
  showList();
  showBatch();
  return summary(present) !== before;
}

async function load({ more = false } = {}) {
  const page = await newestList(get(`/batches${query({ per_page: 50, cursor: more ? nextBatches : null })}`), { more });
  if (!page) return;
  batches = more ? [...batches, ...page.items] : page.items;
  nextBatches = page.next_cursor;
  const wanted = selected?.id || new URLSearchParams(location.search).get("batch");
  await select(batches.find((batch) => batch.id === wanted) || batches[0] || null);
}

/** Asks for the open batches until all have ended; a page in the background waits. */
async function watch() {
  if (!document.hidden && batches.some(isOpen)) {
    try {
      const shown = byId("items").querySelectorAll("tbody tr").length;
      if (batches.some((one) => isOpen(one) && one.id !== selected?.id)) {
        const present = new Map((await get("/batches?per_page=50")).items.map((batch) => [batch.id, batch]));
        batches = batches.map((batch) => present.get(batch.id) || batch);
      }
      if (await refreshSelected() && shown <= 100) await loadItems();
      showList();
    } catch { /* the next round tries again */ }
  }
  setTimeout(watch, REFRESH_MS);
}

async function send(files, part) {
  if (!files.length) return;
  const form = new FormData();
  if (byId("name").value.trim()) form.set("name", byId("name").value.trim());
  if (byId("sensitivity").value) form.set("sensitivity", byId("sensitivity").value);
  if (byId("force-llm").checked) form.set("force_llm", "true");
  for (const file of files) form.append(part(file), file);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const row = new UploadRow(`${files.length === 1 ? files[0].name : count(files.length, "document")} (${bytes(size)})`);
  try {
    selected = await upload("/batches", form, (share) => row.showSent(share, "Storing…"));
    row.remove();
    byId("name").value = "";
    await load();
  } catch (error) { row.showError(error); }
}

byId("retry").addEventListener("click", once(attempt(async () => {
  await post(`/batches/${selected.id}/retry`);
  await load();
})));
byId("end").addEventListener("click", attempt(async () => {
  const opened = isOpen(selected);
  if (!confirm(opened ? `Cancel ${selected.name}? Finished scans stay.` : `Delete ${selected.name} from this list? Its scans stay.`)) return;
  await remove(`/batches/${selected.id}`);
  toast(opened ? "Cancelled." : "Deleted.");
  if (!opened) selected = null;
  await load();
}));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("state").addEventListener("change", attempt(async () => {
  byId("more-items").hidden = true; // it would continue the old list
  await loadItems();
}));
byId("more-items").addEventListener("click", once(attempt(() => loadItems({ more: true }))));
byId("more-batches").addEventListener("click", once(attempt(() => load({ more: true }))));
listenToChosen(byId("file"), attempt((files) => send(files, () => "file")));
listenToChosen(byId("archive"), attempt((files) => send(files, () => "archive")));
listenToDropped(attempt((files) => send(files, (file) => (isZip(file) ? "archive" : "file"))), byId("drop"));
load().then(watch, complain);
