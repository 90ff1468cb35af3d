// Work sessions and their files.
import { getAll, post, put, remove, upload } from "./api.js";
import { attempt, byId, bytes, complain, count, el, once, time } from "./ui.js";
import { listenToShare } from "./share.js";
import { UploadRow, listenToChosen, listenToDropped } from "./uploads.js";

const account = document.querySelector("meta[name=account]").content;
let sessions = [];
let selected = null;
let listed = [];
const outcomes = new Map();
let nLoads = 0;

/** Reads the sessions; returns false if a newer call has begun meanwhile, whose answer counts. */
async function loadSessions() {
  const own = ++nLoads;
  const answer = await getAll("/sessions", { filters: { scope: byId("scope").value } });
  if (own !== nLoads) return false;
  sessions = answer;
  const wanted = selected?.id || new URLSearchParams(location.search).get("session");
  selected = sessions.find((session) => session.id === wanted) || sessions[0] || null;
  byId("sessions").hidden = sessions.length === 0;
  byId("no-sessions").hidden = sessions.length > 0;
  byId("sessions").replaceChildren(...sessions.map((session) => el("li", {}, el("button", { type: "button", "aria-current": session === selected ? "true" : "false",
    onclick: attempt(async () => { selected = session; history.replaceState(null, "", `?session=${session.id}`); await load(); }) },
    el("span", { class: "pick-name", text: session.name }), el("span", { class: "sub", text: `${count(session.n_files, "file")}, ${bytes(session.size_bytes)}` })))));
  return true;
}

/** Scans files of the selected session, in as many requests as needed, and shows the outcome of each. */
async function scan(files) {
  const session = selected;
  let left = files.map(({ id }) => id);
  for (const id of left) outcomes.set(id, { status: "waits" });
  showOutcomes();
  try {
    while (left.length) {
      const { items, n_not_done: nLeft } = await post(`/sessions/${session.id}/scan`, { file_ids: left });
      for (const item of items) outcomes.set(item.file_id, item.status === "not_done" ? { status: "waits" } : item);
      showOutcomes();
      if (nLeft === left.length) throw new Error("The service did not scan these files within its time limit. Scan them one by one.");
      left = items.filter(({ status }) => status === "not_done").map((item) => item.file_id);
    }
  } finally {
    for (const [id, { status }] of outcomes) if (status === "waits") outcomes.delete(id);
    showOutcomes();
  }
}

const isOwn = () => selected.user_id === account;

function outcomeOf(file) {
  if (!isOwn()) return "";
  const outcome = outcomes.get(file.id);
  if (!outcome) return el("button", { class: "button small", type: "button", text: "Scan", "aria-label": `Scan ${file.name}`, onclick: attempt(() => scan([file])) });
  if (outcome.status === "waits") return el("span", { class: "sub", text: "Scanning\u2026" });
  if (outcome.scan_id) return el("a", { class: "button small primary", href: `/scans/${outcome.scan_id}`, text: `Review ${count(outcome.n_findings, "finding")}` });
  return el("span", { class: "bad", role: "alert", text: outcome.problem?.detail || "It could not be scanned." });
}

function showOutcomes() {
  for (const cell of document.querySelectorAll("#files [data-file]")) cell.replaceChildren(outcomeOf(listed.find(({ id }) => id === cell.dataset.file)));
  byId("scan-all").disabled = [...outcomes.values()].some(({ status }) => status === "waits");
}

function fileRow(file) {
  const place = `/sessions/${selected.id}/files/${file.id}`;
  return el("tr", {},
    el("td", {}, el("a", { class: "title", href: `/api/v1${place}/content`, download: file.name, text: file.name }), file.pages ? el("span", { class: "sub", text: ` ${count(file.pages, "page")}` }) : null),
    el("td", { class: "num sub nowrap", text: bytes(file.size_bytes) }),
    el("td", { class: "sub nowrap" }, time(file.created_at)),
    el("td", { class: "outcome", dataset: { file: file.id } }, outcomeOf(file)),
    el("td", { class: "num" }, !isOwn() ? null : el("button", { class: "button small quiet danger", type: "button", text: "Delete", "aria-label": `Delete ${file.name}`,
      onclick: attempt(async () => { if (confirm(`Delete ${file.name}?`)) { await remove(place); await load(); } }) })));
}

async function load() {
  if (!await loadSessions()) return;
  byId("files-card").hidden = !selected;
  if (!selected) return;
  const shown = selected;
  const files = await getAll(`/sessions/${shown.id}/files`);
  if (shown !== selected) return;
  listed = files;
  byId("scan-all").hidden = files.length === 0;
  byId("own-actions").hidden = !isOwn();
  byId("session-name").textContent = selected.name;
  document.querySelector("#files tbody").replaceChildren(...files.map(fileRow));
  byId("files").hidden = files.length === 0;
  byId("no-files").hidden = files.length > 0;
}

async function add(files) {
  if (!selected || !isOwn()) return;
  const { id } = selected;
  for (const file of files) {
    const row = new UploadRow(`${file.name} (${bytes(file.size)})`);
    const form = new FormData();
    form.set("file", file);
    try {
      await upload(`/sessions/${id}/files`, form, (share) => row.showSent(share, "Storing…"));
      row.remove();
    } catch (error) { row.showError(error); }
  }
  await load();
}

byId("new-session").addEventListener("submit", once(attempt(async () => {
  selected = await post("/sessions", { name: byId("name").value });
  byId("scope").value = "own";
  byId("name").value = "";
  await load();
})));
byId("scan-all").addEventListener("click", attempt(() => scan(listed)));
byId("rename").addEventListener("click", attempt(async () => {
  const name = prompt("Name of the session", selected.name);
  if (name?.trim()) { await put(`/sessions/${selected.id}`, { name: name.trim() }); await load(); }
}));
byId("delete-session").addEventListener("click", attempt(async () => {
  if (!confirm(`Delete ${selected.name} with its files? Scans stay.`)) return;
  await remove(`/sessions/${selected.id}`);
  selected = null;
  await load();
}));
byId("filters").addEventListener("change", () => load().catch(complain));
listenToShare(byId("share-open"), () => ({ path: `/sessions/${selected.id}`, about: "Members read this session and download its files." }));
listenToChosen(byId("file"), attempt(add));
listenToDropped(attempt(add));
load().catch(complain);
