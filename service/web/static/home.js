// Documents: upload or paste, and the list of scans.
import { get, query, remove, upload } from "./api.js";
import { byId, bytes, complain, count, debounced, el, newest, numberAlike, time, toast, unreadMark } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";
import { guardLeaving } from "./unsaved.js";
import { UploadRow, listenToChosen, listenToDropped } from "./uploads.js";

const account = document.querySelector("meta[name=account]").content;
const rows = document.querySelector("#scans tbody");
const newestScans = newest(byId("more"));
const waiting = []; // the rows and files that are not scanned yet
let cursor = null;
let isScanning = false;

function scanRow(scan) {
  const address = `/scans/${scan.scan_id}`;
  const name = scan.filename || "Pasted text";
  const del = el("button", { class: "button small quiet danger", type: "button", "aria-label": `Delete the scan of ${name}`, text: "Delete" });
  const row = el("tr", {},
    el("td", {}, el("a", { class: "title", href: address, text: name }), " ", unreadMark(scan.warnings)),
    el("td", { class: "num" }, el("span", { text: scan.n_findings.toLocaleString() }), el("span", { class: "sub narrow-only", text: scan.n_findings === 1 ? " finding" : " findings" })),
    el("td", { class: "sub wide-only" }, scan.source === "llm" ? "LLM" : "Model"),
    el("td", { class: "sub nowrap" }, time(scan.timestamp)),
    el("td", { class: "num" }, scan.user_id === account ? del : null)); // only owners delete
  del.addEventListener("click", () => deleteScan(scan, name, row));
  return row;
}

async function deleteScan(scan, name, row) {
  if (!confirm(`Delete the scan of ${name}, with its findings and verdicts? The stored text goes with the last scan of a document.`)) return;
  try {
    await remove(`/scans/${scan.scan_id}`);
    row.remove();
    numberAlike(rows.children);
    toast("Deleted.");
    showEmpty();
  } catch (error) { complain(error); }
}

function filters() {
  return { scope: byId("scope").value, category: byId("category").value, q: byId("q").value.trim() };
}

function showEmpty() {
  const isFiltered = Boolean(filters().category || filters().q);
  byId("scans-empty").hidden = rows.children.length > 0;
  byId("scans").hidden = rows.children.length === 0;
  byId("scans-empty").textContent = isFiltered ? "No scan matches." : filters().scope === "team" ? "Nobody has shared a scan or a document with a team of yours yet." : "No scans yet. Drop a document above: its findings appear here.";
}

async function load({ more = false } = {}) {
  try {
    const page = await newestScans(get(`/scans${query({ ...filters(), per_page: 25, cursor: more ? cursor : null })}`), { more });
    if (!page) return;
    if (!more) rows.replaceChildren();
    rows.append(...page.items.map(scanRow));
    numberAlike(rows.children);
    cursor = page.next_cursor;
    byId("more").hidden = !cursor;
    showEmpty();
  } catch (error) { complain(error); }
}

function scanForm() {
  const form = new FormData();
  if (byId("force-llm").checked) form.set("force_llm", "true");
  else if (byId("sensitivity").value) form.set("sensitivity", byId("sensitivity").value);
  return form;
}

/** Scans what the form has and shows the outcome in the row; returns the error, or null if it succeeded. */
async function scan(row, form) {
  const showSent = (share) => row.showSent(share, "Scanning…");
  showSent(0);
  try {
    const result = await upload("/scan", form, showSent);
    const { warnings } = await get(`/scans/${result.scan_id}`);
    row.showOutcome(unreadMark(warnings) ?? "", el("span", { class: "sub nowrap", text: count(result.data.length, "finding") }),
      el("a", { class: "button small primary", href: `/scans/${result.scan_id}`, text: "Review" }));
    load();
    return null;
  } catch (error) {
    row.showError(error);
    return error;
  }
}

/** Scans the waiting files, one at a time: the service limits each user's share. If the visitor is logged out, the rest waits for further files. */
async function scanWaiting() {
  let error = null;
  while (waiting.length && error?.status !== 401) {
    const [row, file] = waiting[0];
    const form = scanForm();
    form.set("file", file);
    error = await scan(row, form);
    waiting.shift();
  }
}

async function scanFiles(files) {
  waiting.push(...files.map((file) => [new UploadRow(`${file.name} (${bytes(file.size)})`, "Waits"), file]));
  if (isScanning) return;
  isScanning = true;
  await scanWaiting().finally(() => { isScanning = false; });
}

function listenToPaste() {
  const form = byId("paste-form");
  const show = (isShown) => { form.hidden = !isShown; (isShown ? byId("text") : byId("paste")).focus(); };
  let isSent = false;
  byId("paste").addEventListener("click", () => show(true));
  byId("paste-cancel").addEventListener("click", () => show(false));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = byId("text").value;
    if (!text.trim() || isSent) return;
    const body = scanForm();
    body.set("text", text);
    isSent = true;
    const error = await scan(new UploadRow("Pasted text"), body);
    isSent = false;
    if (error || byId("text").value !== text) return; // what people typed meanwhile stays, too
    byId("text").value = "";
    if (form.contains(document.activeElement)) show(false);
    else form.hidden = true;
  });
}

async function fillCategories() {
  const { categories } = await loadTaxonomy();
  byId("category").append(...categories.map((category) => el("option", { value: category.key, text: category.title })));
}

listenToChosen(byId("file"), scanFiles);
listenToDropped(scanFiles, byId("drop"));
listenToPaste();
guardLeaving(() => waiting.length > 0);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", () => load());
byId("q").addEventListener("input", debounced(load));
byId("more").addEventListener("click", () => load({ more: true }));
fillCategories().catch(complain);
load();
