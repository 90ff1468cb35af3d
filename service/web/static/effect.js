// Confirmed findings before and after a course, with their intervals.
import { get, query } from "./api.js";
import { flatDrawing, svgElement } from "./svg.js";
import { byId, count, el } from "./ui.js";

const rate = (value) => (value === null ? "–" : value.toLocaleString(undefined, { maximumSignificantDigits: 3 }));

function cell({ n, per_1000, low, high }) {
  const range = per_1000 === null ? "nothing scanned" : `${count(n, "finding")}, ${rate(low)} to ${rate(high)}`;
  return el("td", { class: "num" }, el("strong", { text: rate(per_1000) }), el("br"), el("span", { class: "sub", text: range }));
}

/** Draws two intervals below each other, with a mark at each rate; `top` is the highest end of all. */
function intervals({ before, after }, top) {
  const drawing = flatDrawing("interval");
  for (const [kind, { per_1000, low, high }, y] of [["before", before, 2], ["after", after, 6]]) {
    if (per_1000 === null) continue;
    const x = (value) => (100 * value) / top;
    drawing.append(svgElement("line", { x1: x(low), x2: x(high), y1: y, y2: y }), svgElement("rect", { x: Math.min(x(per_1000), 98.5), y: y - 1.6, width: 1.5, height: 3.2, class: kind }));
  }
  return drawing;
}

/** Loads and shows the effect of a course; stays hidden without anybody who completed it. */
export async function showEffect(courseId, scope) {
  const effect = await get(`/courses/${courseId}/effect${query({ scope })}`);
  if (effect.n_learners === 0) return;
  const { before, after } = effect;
  byId("effect").hidden = false;
  byId("effect-rows").hidden = effect.items.length === 0;
  byId("effect-about").textContent = effect.items.length || scope === "own"
    ? `Confirmed findings in 1,000 sentences: ${count(before.n_sentences, "sentence")} of ${count(before.n_documents, "document")} scanned in 180 days before completion, ${count(after.n_sentences, "sentence")} of ${count(after.n_documents, "document")} after. People judged ${before.n_judged.toLocaleString()} of ${count(before.n_findings, "finding")} before, ${after.n_judged.toLocaleString()} of ${after.n_findings.toLocaleString()} after.`
    : `${count(effect.n_learners, "person", "people")} completed the course; figures are shown from three people on.`;
  const top = Math.max(1, ...effect.items.flatMap((row) => [row.before.high, row.after.high]));
  document.querySelector("#effect-rows tbody").replaceChildren(...effect.items.map((row) => el("tr", {},
    el("th", { scope: "row" }, row.category_title, row.is_taught ? el("span", { class: "sub", text: " (taught)" }) : ""),
    cell(row.before), cell(row.after), el("td", {}, intervals(row, top)))));
  byId("effect-note").textContent = `${effect.note} Intervals: ${effect.method}.`;
}
