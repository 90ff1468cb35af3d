// Recent scans beside the documents that the model was calibrated on, for the page of models.
import { get } from "./api.js";
import { flatDrawing, svgElement } from "./svg.js";
import { byId, count, el, percent } from "./ui.js";

const TITLES = { score: "Scores of findings", category: "Categories of sentences", length: "Words of sentences with a finding" };
const STATUS = { stable: "stable", watch: "to be watched", drifted: "drifted", "too few": "too few scans" };

function bar(share, top, kind) {
  const drawing = flatDrawing(`drift-bar ${kind}`);
  drawing.append(svgElement("rect", { x: 0, y: 0, width: (100 * share) / top, height: 8 }));
  return drawing;
}

function labelOf(name, label, titleOf) {
  if (name === "category") return label === "none" ? "No finding" : titleOf(label);
  const text = label.replace("-", "\u2013").replace(">=", "from ").replace("<", "below ");
  return name === "score" ? text.replace(/[\d.]+/g, (share) => Math.round(share * 100)).concat(" %") : text;
}

function table({ name, psi, chance, status, bins }, titleOf) {
  const shown = bins.filter((row) => row.reference > 0 || row.observed > 0);
  const top = Math.max(...shown.map((row) => Math.max(row.reference, row.observed)), 0.01);
  const index = psi === null ? "" : `, index ${psi.toFixed(2)}, by chance up to ${chance.toFixed(2)}`;
  return el("div", { class: "card drift-card" },
    el("h3", {}, `${TITLES[name]} `, el("span", { class: `badge ${status.replace(" ", "-")}`, text: STATUS[status] }), el("span", { class: "sub", text: index })),
    el("table", { class: "drift-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "visually-hidden", text: "Bin" })), el("th", { scope: "col" }, el("span", { class: "visually-hidden", text: "Bars" })),
        el("th", { scope: "col", class: "num", text: "Reference" }), el("th", { scope: "col", class: "num", text: "Recent" }))),
      el("tbody", {}, ...shown.map((row) => el("tr", {}, el("th", { scope: "row", text: labelOf(name, row.label, titleOf) }),
        el("td", {}, bar(row.reference, top, "before"), bar(row.observed, top, "now")),
        el("td", { class: "num", text: percent(row.reference) }), el("td", { class: "num", text: percent(row.observed) }))))));
}

/** Shows the histograms; `titleOf` gives the title of a category. */
export async function loadDrift(titleOf) {
  const drift = await get("/admin/drift");
  byId("drift-about").textContent = drift.n_reference === null ? `${drift.model} has no reference to compare with.`
    : `The newest ${count(drift.n_scans, "scan")} by ${drift.model}, ${count(drift.n_sentences, "sentence")}, beside the ${drift.n_reference.toLocaleString()} sentences on which it was calibrated.`;
  byId("drift").replaceChildren(...drift.histograms.map((histogram) => table(histogram, titleOf)));
}
