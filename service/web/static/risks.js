// The risk register: the matrix, the list with its filters, export and import. risk-form.js edits one risk.
import { get, getAll, query, upload } from "./api.js";
import { attempt, byId, complain, count, debounced, el, newest, time } from "./ui.js";
import { loadTaxonomy } from "./taxonomy.js";
import { RiskForm } from "./risk-form.js";

const visitor = byId("register").dataset.visitor;
const newestRisks = newest(byId("more"));
let cell = null; // [likelihood, impact] of the chosen cell
let next = null;
let form;

function filters({ withCell = true } = {}) {
  const owner = byId("f-owner").value;
  const [likelihood, impact] = withCell && cell ? cell : [null, null];
  return { q: byId("f-q").value.trim(), state: byId("f-state").value, category: byId("f-category").value, team: byId("f-team").value,
    owner_id: owner === "own" ? visitor : owner, overdue: byId("f-overdue").checked ? "true" : "", likelihood, impact };
}

const level = (rating) => (rating >= 15 ? "high" : rating >= 6 ? "middle" : "low");

function drawMatrix(counts) {
  const rows = [5, 4, 3, 2, 1].map((likelihood) => el("tr", {}, el("th", { scope: "row", text: String(likelihood) }),
    ...[1, 2, 3, 4, 5].map((impact) => {
      const n = counts[likelihood - 1][impact - 1];
      const isChosen = cell?.[0] === likelihood && cell[1] === impact;
      return el("td", {}, el("button", { type: "button", class: level(likelihood * impact), "aria-pressed": String(isChosen), text: n ? String(n) : "",
        "aria-label": `Likelihood ${likelihood}, impact ${impact}: ${count(n, "risk")}`, onclick: attempt(() => choose(isChosen ? null : [likelihood, impact])) }));
    })));
  document.querySelector("#matrix tbody").replaceChildren(...rows);
}

function seen(risk) {
  if (risk.seen_in_newest === null) return risk.n_findings ? "its scans are deleted" : "–";
  return risk.seen_in_newest ? "in the newest scan" : "no more in the newest scan";
}

function doubt({ n_findings: n, n_rejected: nRejected }) {
  if (nRejected === 0) return null;
  return el("span", { class: "is-overdue", text: nRejected === n ? ", rejected since" : `, ${nRejected} of ${count(n, "finding")} rejected since` });
}

function row(risk) {
  return el("tr", {},
    el("td", {}, el("button", { class: "link title", type: "button", text: risk.title, onclick: attempt(() => form.open(risk.id)) }), risk.team ? el("span", { class: "sub", text: ` ${risk.team}` }) : null),
    el("td", { class: "sub", text: risk.owner || "deleted account" }),
    el("td", { class: "num", text: String(risk.rating) }),
    el("td", { class: risk.overdue ? "is-overdue nowrap" : "nowrap", text: risk.due_on ? `${risk.due_on}${risk.overdue ? ", overdue" : ""}` : "–" }),
    el("td", { text: risk.state }),
    el("td", { class: "sub" }, seen(risk), doubt(risk), risk.last_seen_at ? " · " : "", risk.last_seen_at ? time(risk.last_seen_at) : null));
}

async function load({ more = false } = {}) {
  const chosen = filters();
  const answers = await newestRisks(Promise.all([get(`/risks${query({ ...chosen, cursor: more ? next : null })}`), get(`/risks/matrix${query(filters({ withCell: false }))}`)]), { more });
  if (!answers) return;
  const [page, matrix] = answers;
  next = page.next_cursor;
  const body = document.querySelector("#risks tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  drawMatrix(matrix.n_risks);
  byId("more").hidden = next === null;
  byId("no-risks").hidden = body.children.length > 0;
  byId("export").href = `/api/v1/risks/export${query(chosen)}`;
  byId("f-cell").hidden = cell === null;
  if (cell) byId("f-cell").textContent = `Likelihood ${cell[0]}, impact ${cell[1]} ×`;
}

async function choose(chosen) {
  cell = chosen;
  await load();
}

async function importFile(file) {
  const sent = async (isDryRun) => {
    const data = new FormData();
    data.append("file", file);
    return upload(`/risks/import?dry_run=${isDryRun}`, data, () => {});
  };
  const result = await sent(true);
  const columns = result.ignored_columns.join(", ");
  const ignored = columns ? el("p", { text: `These columns are unknown and ignored: ${columns}. An export has all names that an import knows.` }) : "";
  const box = byId("import-result");
  box.hidden = false;
  if (result.errors.length) {
    box.replaceChildren(el("p", { text: "Nothing was imported. Correct these cells:" }),
      el("ul", {}, ...result.errors.map((error) => el("li", { text: `Row ${error.row}, ${error.field}: ${error.message}` }))), ignored);
    return;
  }
  if (columns && !confirm(`The import ignores the unknown columns ${columns}. Import the others?`)) {
    box.replaceChildren(el("p", { text: "Nothing was imported." }), ignored);
    return;
  }
  const stored = await sent(false);
  box.replaceChildren(ignored, `Imported: ${count(stored.n_created, "new risk")}, ${stored.n_changed} changed, ${stored.n_unchanged} unchanged.`);
  await load();
}

async function start() {
  const [taxonomy, teams] = await Promise.all([loadTaxonomy(), getAll("/teams")]);
  form = new RiskForm({ taxonomy, teams, visitor, changed: () => load().catch(complain) });
  byId("f-category").append(...taxonomy.categories.map(({ key, title }) => el("option", { value: key, text: title })));
  byId("f-team").append(...teams.map(({ id, name }) => el("option", { value: id, text: name })));
  byId("new-risk").addEventListener("click", () => form.create());
  await load();
  byId("register").dataset.ready = "true";
  const wanted = new URLSearchParams(location.search).get("risk");
  if (wanted) await form.open(wanted);
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", attempt(() => load()));
byId("f-q").addEventListener("input", debounced(attempt(() => load())));
byId("f-cell").addEventListener("click", attempt(() => choose(null)));
byId("more").addEventListener("click", attempt(() => load({ more: true })));
byId("import-file").addEventListener("change", attempt(async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) await importFile(file);
}));
start().catch(complain);
