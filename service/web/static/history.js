// The versions and scans of a document, and what changed from one to the next.
import { ApiError, get, post, upload } from "./api.js";
import { byId, complain, count, el, time } from "./ui.js";

const MAX_LISTED = 50;
const CAUSES = { document: "its sentence is not in the earlier version", model: "another model read the same sentence", sensitivity: "at another sensitivity", other: "the same model read the same sentence" };

function scanItem(scan, current) {
  const about = `${count(scan.n_findings, "finding")}, ${scan.model}${scan.sensitivity ? `, ${scan.sensitivity}` : ""}`;
  return el("li", {}, scan.id === current ? el("strong", {}, time(scan.created_at), " (shown)") : el("a", { href: `/scans/${scan.id}` }, time(scan.created_at)), el("span", { class: "sub", text: ` ${about}` }));
}

function versionItem(version, current) {
  const title = `Version ${version.version}`;
  const newest = version.newest_scan;
  const about = ` ${version.name || "Pasted text"}, ${count(newest.n_findings, "finding")}, `;
  const name = version.id === current ? el("strong", { text: `${title} (shown)` }) : el("a", { href: `/scans/${newest.id}`, text: title });
  return el("li", {}, name, el("span", { class: "sub" }, about, time(version.created_at)));
}

/** The button with which an owner uploads an edited file as the next version. */
function nextVersion(document_) {
  const state = el("span", { class: "sub", role: "status" });
  const input = el("input", { class: "visually-hidden", type: "file", id: "version-file" });
  input.addEventListener("change", async () => {
    const form = new FormData();
    form.set("document", document_.id);
    form.set("file", input.files[0]);
    input.disabled = true;
    try {
      const { scan_id } = await upload("/scan", form, (share) => { state.textContent = share < 1 ? `${Math.round(share * 100)} %` : "Scanning…"; });
      location.assign(`/scans/${scan_id}`);
    } catch (error) {
      complain(error);
      state.textContent = "";
      input.disabled = false;
      input.value = "";
    }
  });
  return el("span", {}, el("label", { class: "button" }, "Upload the next version", input), " ", state);
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
  const added = changes.items.filter(({ change }) => change === "new");
  const unlisted = changes.n_new - Math.min(added.length, MAX_LISTED);
  place.append(el("p", { text: summaryOf(changes) }), el("ul", {}, ...added.slice(0, MAX_LISTED).map(({ finding, cause }) => {
    const entry = review.byKey(`f${finding}`);
    return entry && el("li", {}, el("button", { class: "link", type: "submit", onclick: () => review.select(entry), text: `New: ${entry.risk}` }), el("span", { class: "sub", text: ` ${entry.context}${cause ? ` (${CAUSES[cause]})` : ""}` }));
  })), unlisted ? el("p", { class: "sub", text: `And ${count(unlisted, "more new finding")}.` }) : "");
}

/** Lets the visitor open the document's versions and scans, and an owner add one of either. */
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
    const actions = el("p", { class: "row tight" }, again, isOwn ? nextVersion(document_) : "");
    byId("version-list").replaceChildren(...document_.versions.map((version) => versionItem(version, document_.id)));
    byId("history-list").replaceChildren(el("ul", { class: "scan-list" }, ...document_.scans.map((scan) => scanItem(scan, review.scan.scan_id))), changes, actions);
    byId("history").showModal();
    showChanges(review, changes).catch(complain);
  });
}
