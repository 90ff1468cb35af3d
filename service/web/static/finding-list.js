// The list beside the text, and the panel that says why the selected finding was found.
import { get } from "./api.js";
import { byId, count, el, percent } from "./ui.js";
import { verdictOf } from "./review-state.js";
import { categoryOf } from "./text-pane.js";

const SIGNS = { confirmed: "✓", rejected: "✕", relabelled: "↻", missed: "+" };
const WORDS = { open: "Not reviewed", confirmed: "Confirmed", rejected: "Rejected", relabelled: "Relabelled", missed: "Missed, added by a reviewer" };
const DRAWN_AT_ONCE = 200;

/** Returns the title of the risks that an entry has after the visitor's verdict. */
export function riskOf(entry, taxonomy) {
  if (verdictOf(entry) !== "relabelled") return entry.risk;
  return entry.feedback.risk_types.map((key) => taxonomy.typeOf(key)?.title || key).join(", ");
}

export class FindingList {
  constructor(review, actions) {
    this.review = review;
    this.actions = actions;
    this.list = byId("findings");
    this.items = new Map();
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("button[data-key]");
      if (item) this.review.select(this.review.byKey(item.dataset.key));
    });
    review.addEventListener("change", ({ detail: entry }) => this.#redraw(entry));
    review.addEventListener("filter", () => this.draw());
    review.addEventListener("select", () => this.#select());
    this.draw();
  }

  draw() {
    const visible = this.review.visible();
    this.items.clear();
    this.list.replaceChildren();
    const part = (from) => {
      this.list.append(...visible.slice(from, from + DRAWN_AT_ONCE).map((entry) => this.#item(entry)));
      if (from + DRAWN_AT_ONCE < visible.length && this.drawing === visible) setTimeout(() => part(from + DRAWN_AT_ONCE));
    };
    this.drawing = visible;
    part(0);
    this.#count(visible.length);
    this.#select();
  }

  #count(n) {
    const all = this.review.entries.length;
    byId("count").textContent = n === all ? count(all, "finding") : `${n.toLocaleString()} of ${count(all, "finding")}`;
  }

  #item(entry) {
    const item = el("li", {}, this.#button(entry));
    this.items.set(entry, item);
    return item;
  }

  #button(entry) {
    const { taxonomy, selected } = this.review;
    const verdict = verdictOf(entry);
    return el("button", { type: "button", class: `finding is-${verdict}`, dataset: { key: entry.key }, "aria-current": entry === selected ? "true" : "false" },
      el("span", { class: "finding-head" },
        el("span", { class: `dot ${taxonomy.colourOf(categoryOf(entry, taxonomy))}` }),
        el("span", { class: "finding-risk", text: riskOf(entry, taxonomy) }),
        el("span", { class: "finding-place", text: entry.score === null ? "" : percent(entry.score) })),
      el("span", { class: "finding-text", text: entry.context }),
      verdict === "open" ? null : el("span", { class: `verdict v-${verdict}` }, el("span", { "aria-hidden": "true", text: `${SIGNS[verdict]} ` }), WORDS[verdict].split(",")[0], entry.feedback.carried_from ? " earlier" : ""));
  }

  #redraw(entry) {
    const isShown = this.review.visible().includes(entry);
    const item = this.items.get(entry);
    if (!item || !isShown) { this.draw(); return; }
    item.replaceChildren(this.#button(entry));
  }

  #select() {
    const { selected } = this.review;
    for (const button of this.list.querySelectorAll('[aria-current="true"]')) button.setAttribute("aria-current", "false");
    const button = selected && this.items.get(selected)?.firstElementChild;
    if (button) {
      button.setAttribute("aria-current", "true");
      button.scrollIntoView({ block: "nearest" });
    }
    this.#detail(selected);
  }

  #detail(entry) {
    const panel = byId("detail");
    panel.hidden = !entry;
    if (!entry) return;
    const { taxonomy } = this.review;
    const type = taxonomy.typeOf(entry.feedback?.verdict === "relabelled" ? entry.feedback.risk_types[0] : entry.risk_type);
    const others = el("div", { class: "others" });
    const typed = panel.querySelector("#comment:focus"); // whoever types a comment goes on typing
    const draft = typed && this.detailed === entry ? typed.value : null;
    this.detailed = entry;
    panel.replaceChildren(...[
      el("div", { class: "detail-head" }, el("h2", { text: riskOf(entry, taxonomy) }), el("span", { class: `tag ${taxonomy.colourOf(categoryOf(entry, taxonomy))}`, text: type?.categoryTitle || entry.category_title })),
      type ? el("p", { class: "sub", text: type.definition }) : null,
      this.#why(entry),
      entry.feedback?.carried_from ? el("p", { class: "sub" }, "Your verdict is from ", el("a", { href: `/scans/${entry.feedback.carried_from}`, text: "an earlier scan of this document" }), ".") : null,
      entry.kind === "finding" ? this.#buttons(entry) : el("p", { class: "sub", text: "You can take the report back with Undo." }),
      entry.kind === "finding" ? this.#comment(entry) : null,
      others].filter(Boolean));
    if (draft !== null) {
      byId("comment").value = draft;
      byId("comment").focus();
    }
    if (entry.kind === "finding" && this.actions.isReviewer) this.#showOthers(entry, others);
  }

  #why(entry) {
    if (entry.kind === "missed") return el("p", { class: "why", text: "A reviewer marked this sentence; the model had not found it." });
    if (entry.score === null) return el("p", { class: "why", text: "The LLM named this risk; it gives no scores." });
    const threshold = entry.threshold ?? null;
    const words = threshold === null ? `The model gives this risk a probability of ${percent(entry.score)}.`
      : entry.score >= threshold ? `The model gives this risk a probability of ${percent(entry.score)}; it reports it from ${percent(threshold)} on.`
        : `The model is sure that the sentence states a risk; this one is the likeliest, with ${percent(entry.score)}.`;
    return el("div", { class: "why" }, scoreBar(entry.score, threshold), el("p", { class: "sub" }, `${words} `,
      this.actions.why && el("button", { type: "button", class: "link", text: "Why?", onclick: () => this.actions.why() })));
  }

  #buttons(entry) {
    const button = (verdict, title, key, run) => el("button", { type: "button", class: `button act v-${verdict}`, "aria-pressed": verdictOf(entry) === verdict ? "true" : "false", onclick: run },
      `${title} `, el("kbd", { "aria-hidden": "true", text: key }));
    return el("div", { class: "acts" },
      button("confirmed", "Confirm", "y", () => this.actions.confirm()),
      button("rejected", "Reject", "n", () => this.actions.reject()),
      button("relabelled", "Relabel", "r", () => this.actions.relabel()));
  }

  /** The visitor's comment, which belongs to a verdict. */
  #comment(entry) {
    const form = el("form", { class: "comment" },
      el("input", { type: "text", id: "comment", maxlength: 2000, value: entry.feedback?.comment || "", disabled: !entry.feedback, autocomplete: "off",
        placeholder: entry.feedback ? "Comment" : "Comment, after a verdict", "aria-label": "Comment on this finding" }),
      el("button", { class: "button small", disabled: !entry.feedback, text: "Save" }));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.actions.comment(entry, form.elements.comment.value.trim()); });
    return form;
  }

  async #showOthers(entry, place) {
    const { others } = await get(`${this.review.path}/findings/${entry.id}/feedback`).catch(() => ({ others: [] }));
    if (this.review.selected !== entry || !others.length) return;
    const { taxonomy } = this.review;
    place.append(el("h3", { text: "Other verdicts" }), el("ul", {}, ...others.map((row) => el("li", { class: "sub" },
      `${WORDS[row.verdict]}${row.verdict === "relabelled" ? ` as ${row.risk_types.map((key) => taxonomy.typeOf(key)?.title || key).join(", ")}` : ""} by ${row.role === "user" ? "the owner" : `a ${row.role}`}${row.comment ? `: ${row.comment}` : ""}`))));
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Draws a probability with the threshold from which the model reports it. */
export function scoreBar(score, threshold) {
  const svg = document.createElementNS(SVG, "svg");
  const shape = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    svg.append(element);
  };
  const settings = { viewBox: "0 0 100 8", preserveAspectRatio: "none", class: "score-bar", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(settings)) svg.setAttribute(key, value);
  shape("rect", { x: 0, y: 2, width: 100, height: 4, class: "score-track" });
  shape("rect", { x: 0, y: 2, width: score * 100, height: 4, class: "score-fill" });
  if (threshold !== null) shape("rect", { x: threshold * 100 - 0.4, y: 0, width: 0.8, height: 8, class: "score-mark" });
  return svg;
}
