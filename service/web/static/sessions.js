// Work sessions and their files.
import { get, post, put, query, remove, upload } from "./api.js";
import { byId, bytes, complain, count, el, time } from "./ui.js";

let sessions = [];
let selected = null;
let listed = [];
const outcomes = new Map();

const attempt = (work) => async (event) => { event?.preventDefault(); try { await work(event); } catch (error) { complain(error); } };

async function allOf(path) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(path + query({ per_page: 100, cursor }));
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return items;
}

async function loadSessions() {
  sessions = await allOf("/sessions");
  const wanted = selected?.id || new URLSearchParams(location.search).get("session");
  selected = sessions.find((session) => session.id === wanted) || sessions[0] || null;
  byId("sessions").hidden = sessions.length === 0;
  byId("no-sessions").hidden = sessions.length > 0;
  byId("sessions").replaceChildren(...sessions.map((session) => el("li", {}, el("button", { type: "button", "aria-current": session === selected ? "true" : "false",
    onclick: attempt(async () => { selected = session; history.replaceState(null, "", `?session=${session.id}`); await load(); }) },
    el("span", { class: "pick-name", text: session.name }), el("span", { class: "sub", text: `${count(session.n_files, "file")}, ${bytes(session.size_bytes)}` })))));
}

/** Scans files of the selected session, in as many requests as it takes, and shows what each gave. */
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
      if (nLeft === left.length) throw new Error("The service could not scan these files in its time. Scan them one by one.");
      left = items.filter(({ status }) => status === "not_done").map((item) => item.file_id);
    }
  } finally {
    for (const [id, { status }] of outcomes) if (status === "waits") outcomes.delete(id);
    showOutcomes();
  }
}

function outcomeOf(file) {
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
    el("td", { class: "num" }, el("button", { class: "button small quiet danger", type: "button", text: "Delete", "aria-label": `Delete ${file.name}`,
      onclick: attempt(async () => { if (confirm(`Delete ${file.name}?`)) { await remove(place); await load(); } }) })));
}

async function load() {
  await loadSessions();
  byId("files-card").hidden = !selected;
  if (!selected) return;
  const files = await allOf(`/sessions/${selected.id}/files`);
  listed = files;
  byId("scan-all").hidden = files.length === 0;
  byId("session-name").textContent = selected.name;
  document.querySelector("#files tbody").replaceChildren(...files.map(fileRow));
  byId("files").hidden = files.length === 0;
  byId("no-files").hidden = files.length > 0;
}

async function add(files) {
  for (const file of files) {
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const item = el("li", {}, el("span", { class: "file", text: file.name }), bar, el("span", { class: "sub", text: bytes(file.size) }));
    byId("uploads").append(item);
    const form = new FormData();
    form.set("file", file);
    try {
      await upload(`/sessions/${selected.id}/files`, form, (share) => { bar.value = share; });
      item.remove();
    } catch (error) {
      bar.replaceWith(el("button", { class: "button small", type: "button", text: "Dismiss", onclick: () => item.remove() }));
      item.append(el("span", { class: "bad", role: "alert", text: error.message }));
    }
  }
  await load();
}

byId("new-session").addEventListener("submit", attempt(async () => {
  selected = await post("/sessions", { name: byId("name").value });
  byId("name").value = "";
  await load();
}));
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
byId("file").addEventListener("change", attempt(async (event) => { const files = [...event.target.files]; event.target.value = ""; await add(files); }));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", attempt(async (event) => { if (selected) await add([...event.dataTransfer.files]); }));
load().catch(complain);
