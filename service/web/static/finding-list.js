// The list of findings beside the text.
import { FindingDetail, WORDS, riskOf } from "./finding-detail.js";
import { byId, count, el, percent } from "./ui.js";
import { verdictOf } from "./review-state.js";
import { categoryOf } from "./text-pane.js";

const SIGNS = { confirmed: "✓", rejected: "✕", relabelled: "↻", missed: "+" };
const DRAWN_AT_ONCE = 200;

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
    this.detail.show(selected);
  }
}
