// The audit trail: filter, read and download.
import { ApiError, get, query } from "./api.js";
import { byId, complain, debounced, el, newest, time } from "./ui.js";

const PER_PAGE = 50;
const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;
const newestEvents = newest(byId("more"));
const newestExports = newest(byId("more-exports"));
let next = null;
let nextExport = null;

/** The start of a day of the visitor's, `days` later, as the API reads it. */
function startOf(day, days = 0) {
  if (!day) return "";
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

function filters() {
  return {
    action: byId("action").value, user_id: byId("user").value.trim(), object_id: byId("object").value.trim(),
    created_from: startOf(byId("from").value), created_before: startOf(byId("to").value, 1),
  };
}

/** A button that shows the events of one account or object alone. */
function narrow(id, field) {
  return el("button", { class: "link", type: "button", title: id, text: UUID.test(id) ? `…${id.slice(-12)}` : id, onclick: () => {
    byId(field).value = id;
    load().catch(complain);
  } });
}

function row(event) {
  const { operator, ...detail } = event.detail;
  const by = event.user_id ? narrow(event.user_id, "user") : operator || "unknown";
  const about = Object.entries(detail).map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  return el("tr", {},
    el("td", { class: "nowrap" }, time(event.created_at)),
    el("td", { class: "nowrap" }, el("span", { class: "title", text: event.action })),
    el("td", { class: "sub nowrap" }, by),
    el("td", { class: "sub" }, `${event.object_type} `, event.object_id ? narrow(event.object_id, "object") : ""),
    el("td", { class: "sub detail", text: about }),
    el("td", { class: "num sub", text: event.n ?? "not yet" }));
}

async function load({ more = false } = {}) {
  const chosen = filters();
  for (const format of ["csv", "jsonl"]) byId(format).href = `/api/v1/admin/audit-events/export${query({ format, ...chosen })}`;
  if (chosen.user_id && !UUID.test(chosen.user_id)) return; // still being typed
  const page = await newestEvents(get(`/admin/audit-events${query({ per_page: PER_PAGE, ...chosen, cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#events tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId("more").hidden = next === null;
  byId("events").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
}

async function showSeal() {
  try {
    const seal = await get("/admin/audit-events/seal");
    byId("seal").replaceChildren(`${seal.last_n.toLocaleString()} events are sealed, the last `, time(seal.sealed_at));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    byId("seal").textContent = "Nothing is sealed yet.";
  }
}

function exportRow(report) {
  const only = Object.entries(report.scope).map(([key, value]) => `${key}: ${value}`).join(", ");
  return el("tr", {},
    el("td", { class: "nowrap" }, time(report.created_at)),
    el("td", {}, el("span", { class: "title", text: report.kind.replace("_", " ") }), ` ${report.format}`),
    el("td", { class: "sub nowrap" }, report.user_id ? narrow(report.user_id, "user") : report.operator || "unknown"),
    el("td", { class: "sub detail", text: only }),
    el("td", { class: "num", text: report.n_rows.toLocaleString() }),
    el("td", { class: "num", text: report.size_bytes.toLocaleString() }),
    el("td", { text: report.outcome.replace("_", " ") }));
}

async function loadExports({ more = false } = {}) {
  const page = await newestExports(get(`/admin/report-logs${query({ per_page: 20, cursor: more ? nextExport : null })}`), { more });
  if (!page) return;
  nextExport = page.next_cursor;
  const body = document.querySelector("#exports tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(exportRow));
  byId("more-exports").hidden = nextExport === null;
  byId("exports").hidden = body.children.length === 0;
  byId("no-exports").hidden = body.children.length > 0;
}

byId("more-exports").addEventListener("click", () => loadExports({ more: true }).catch(complain));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", debounced(() => load().catch(complain)));
byId("more").addEventListener("click", () => load({ more: true }).catch(complain));
load().catch(complain);
showSeal().catch(complain);
loadExports().catch(complain);
