// The scans of a document, and what changed from one to the next.
import { ApiError, get, post } from "./api.js";
import { byId, complain, count, el, time } from "./ui.js";

const MAX_LISTED = 50;
const CAUSES = { document: "its sentence is not in the earlier version", model: "another model read the same sentence", sensitivity: "at another sensitivity", other: "the same model read the same sentence" };

function scanItem(scan, current) {
  const about = `${count(scan.n_findings, "finding")}, ${scan.model}${scan.sensitivity ? `, ${scan.sensitivity}` : ""}`;
  return el("li", {}, scan.id === current ? el("strong", {}, time(scan.created_at), " (shown)") : el("a", { href: `/scans/${scan.id}` }, time(scan.created_at)), el("span", { class: "sub", text: ` ${about}` }));
}

function summaryOf(changes) {
  const causes = [changes.document_changed && "the document", changes.model_changed && "the model", changes.sensitivity_changed && "the sensitivity"].filter(Boolean);
  return `Since the scan before: ${changes.n_new} new, ${changes.n_same} the same, ${changes.n_gone} gone. ${causes.length ? `Changed: ${causes.join(", ")}.` : "Document, model and sensitivity are the same."}`;
}

/** Shows how the findings differ from those of the document's scan before; nothing if there is none. */
async function showChanges(review, place) {
  let changes;
  try { changes = await get(`/scans/${review.scan.scan_id}/changes?per_page=1000`); } catch (error) {
    if (error instanceof ApiError && error.status === 404) return;
    throw error;
  }
  if (!changes.since) return;
  const added = changes.items.filter(({ change }) => change === "new").slice(0, MAX_LISTED);
  place.append(el("p", { text: summaryOf(changes) }), el("ul", {}, ...added.map(({ finding, cause }) => {
    const entry = review.byKey(`f${finding}`);
    return entry && el("li", {}, el("button", { class: "link", type: "submit", onclick: () => review.select(entry), text: `New: ${entry.risk}` }), el("span", { class: "sub", text: ` ${entry.context}${cause ? ` (${CAUSES[cause]})` : ""}` }));
  })));
}

/** Lets the visitor open the list of the document's scans, and an owner scan it again. */
export function listenToHistory(review, document_, { isOwn }) {
  const button = byId("history-open");
  const again = el("button", { class: "button", type: "button", text: "Scan again", onclick: async () => {
    again.disabled = true;
    try { location.assign(`/scans/${(await post(`/documents/${document_.id}/scan`, {})).scan_id}`); } catch (error) { complain(error); again.disabled = false; }
  } });
  again.hidden = document_.text_stored !== "full" || !isOwn;
  button.hidden = false;
  button.addEventListener("click", () => {
    const changes = el("div", { class: "changes" });
    byId("history-list").replaceChildren(el("ul", { class: "scan-list" }, ...document_.scans.map((scan) => scanItem(scan, review.scan.scan_id))), changes, again);
    byId("history").showModal();
    showChanges(review, changes).catch(complain);
  });
}
