// The list of findings beside the text.
import { FindingDetail, WORDS, riskOf } from "./finding-detail.js";
import { byId, count, el, percent } from "./ui.js";
import { verdictOf } from "./review-state.js";
import { categoryOf } from "./text-pane.js";

const SIGNS = { confirmed: "✓", rejected: "✕", relabelled: "↻", missed: "+" };
const DRAWN_AT_ONCE = 200;
const SIBLINGS = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" };

export class FindingList {
  constructor(review, actions) {
    this.review = review;
    this.detail = new FindingDetail(review, actions);
    this.list = byId("findings");
    this.items = new Map();
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("button[data-key]");
      if (item) this.review.select(this.review.byKey(item.dataset.key));
    });
    this.list.addEventListener("focusin", ({ target }) => this.#selectFocused(target));
    this.list.addEventListener("keydown", (event) => {
      const next = event.target.closest("li")?.[SIBLINGS[event.key]];
      if (next) { event.preventDefault(); next.firstElementChild.focus(); }
    });
    review.addEventListener("change", ({ detail: entry }) => this.#redraw(entry));
    review.addEventListener("filter", () => this.draw());
    review.addEventListener("select", () => this.#select());
    this.draw();
  }

  draw() {
    const visible = this.review.visible();
    const hadFocus = this.list.contains(document.activeElement);
    this.items.clear();
    this.list.replaceChildren();
    const part = (from) => {
      this.list.append(...visible.slice(from, from + DRAWN_AT_ONCE).map((entry) => this.#item(entry)));
      if (from + DRAWN_AT_ONCE < visible.length && this.drawing === visible) setTimeout(() => part(from + DRAWN_AT_ONCE));
    };
    this.drawing = visible;
    part(0);
    this.#count(visible.length);
    if (hadFocus) this.list.focus(); // until an item is selected
    this.#select();
  }

  /** Selects the finding that the keyboard focuses; a click does so by itself. */
  #selectFocused(target) {
    const entry = target.matches("button:focus-visible") && this.review.byKey(target.dataset.key);
    if (entry && entry !== this.review.selected) this.review.select(entry);
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
    return el("button", { type: "button", class: `finding is-${verdict}`, dataset: { key: entry.key }, tabindex: entry === selected ? "0" : "-1", "aria-current": entry === selected ? "true" : "false" },
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
    const hadFocus = item.contains(document.activeElement);
    item.replaceChildren(this.#button(entry));
    if (hadFocus) item.firstElementChild.focus();
  }

  #select() {
    const { selected } = this.review;
    for (const button of this.list.querySelectorAll('[tabindex="0"]')) this.#mark(button, false);
    const button = selected && this.items.get(selected)?.firstElementChild;
    if (button) {
      this.#mark(button, true);
      button.scrollIntoView({ block: "nearest" });
      if (this.list.contains(document.activeElement)) button.focus();
    } else if (!this.drawing.includes(selected)) this.list.querySelector("button")?.setAttribute("tabindex", "0");
    this.detail.show(selected);
  }

  /** Marks the button of the selected finding, the only one that Tab reaches; if none is shown, Tab reaches the first. */
  #mark(button, isSelected) {
    button.setAttribute("aria-current", String(isSelected));
    button.setAttribute("tabindex", isSelected ? "0" : "-1");
  }
}
