// Sentences without a finding, drawn at random: reviewers say which risks they state, if any.
import { get, query } from "./api.js";
import { complain, el, runKey } from "./ui.js";
import { settle } from "./judged.js";
import { pickTypes } from "./picker.js";

const AROUND_CHARS = 400;

const pathOf = (item) => `/scans/${item.scan_id}/samples/${item.sample}/feedback`;

function answer(item, box, riskTypes, load) {
  return settle(box, { path: pathOf(item), body: { risk_types: riskTypes }, words: riskTypes.length ? "Marked as missed." : "No risk." }, load);
}

async function nameRisk(item, box, taxonomy, load) {
  const types = await pickTypes(taxonomy, { title: "Which risk does it state?", quote: item.context });
  if (types) await answer(item, box, types, load);
  else box.focus();
}

/** Shows the text around the sentence, once. */
async function showAround(item, place) {
  if (place.dataset.shown) return;
  place.dataset.shown = "true";
  const start = Math.max(0, item.start - AROUND_CHARS);
  try {
    const range = await get(`/documents/${item.document_id}/text${query({ start, end: item.end + AROUND_CHARS })}`);
    const points = Array.from(range.text);
    const [from, to] = [item.start - range.start, item.end - range.start];
    place.replaceChildren(el("span", { class: "around", text: points.slice(0, from).join("").slice(-AROUND_CHARS) }),
      el("mark", { class: "plain", text: points.slice(from, to).join("") }), el("span", { class: "around", text: points.slice(to).join("") }));
  } catch (error) { complain(error); }
}

/** Returns the card of a sampled sentence; `load` is called when no card is left. */
export function sampleCard(item, taxonomy, load) {
  const text = el("p", { class: "queue-text in-text" }, el("mark", { class: "plain", text: item.context }));
  const none = () => answer(item, box, [], load);
  const risk = () => nameRisk(item, box, taxonomy, load);
  const box = el("li", { class: "card queue-item", tabindex: "0", dataset: { path: pathOf(item) }, "aria-label": `Without a finding: ${item.context}` },
    text,
    el("div", { class: "row" },
      el("button", { class: "button small", type: "button", onclick: none }, "No risk ", el("kbd", { "aria-hidden": "true", text: "n" })),
      el("button", { class: "button small", type: "button", onclick: risk }, "States a risk\u2026 ", el("kbd", { "aria-hidden": "true", text: "y" })),
      el("a", { class: "button small", href: `/scans/${item.scan_id}?at=${item.start}`, text: "Open in its document" }),
      el("span", { class: "sub", text: item.filename || "Pasted text" })));
  box.addEventListener("focusin", () => showAround(item, text));
  box.addEventListener("keydown", (event) => runKey(event, { n: none, y: risk, r: risk, j: () => box.nextElementSibling?.focus(), k: () => box.previousElementSibling?.focus() }));
  return box;
}

/** Loads the sentences that wait, and returns them and a text about them. */
export async function loadSample() {
  const { items, n_open: nOpen } = await get("/reviews/sample?per_page=20");
  const about = `Sentences in which the model found nothing, drawn at random; ${nOpen.toLocaleString()} wait. Answer each in turn: the dashboard estimates from them how many risks the model misses.`;
  return { items, about };
}
