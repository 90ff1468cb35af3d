// The panel about the selected finding: its score, its verdict with a comment, and others' verdicts.
import { get } from "./api.js";
import { scoreBar } from "./svg.js";
import { byId, el, percent } from "./ui.js";
import { verdictOf } from "./review-state.js";
import { categoryOf } from "./text-pane.js";

export const WORDS = { open: "Not reviewed", confirmed: "Confirmed", rejected: "Rejected", relabelled: "Relabelled", missed: "Missed, added by a reviewer" };

/** Returns the title of the risks that an entry has after the visitor's verdict. */
export function riskOf(entry, taxonomy) {
  if (verdictOf(entry) !== "relabelled") return entry.risk;
  return entry.feedback.risk_types.map((key) => taxonomy.typeOf(key)?.title || key).join(", ");
}

/** Returns the query that searches where the scan is: among everybody's findings, those of teams, or one's own. */
function scopeOf(scan) {
  const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
  if (meta("permissions").split(" ").includes("review_all")) return "&scope=reviewable";
  return scan.user_id === meta("account") ? "" : "&scope=team";
}

export class FindingDetail {
  constructor(review, actions) {
    this.review = review;
    this.actions = actions;
  }

  /** Shows an entry, or hides the panel if it is null. */
  show(entry) {
    const panel = byId("detail");
    panel.hidden = !entry;
    if (!entry) return;
    const focused = panel.contains(document.activeElement) ? document.activeElement.name : null;
    const { taxonomy } = this.review;
    const type = taxonomy.typeOf(entry.feedback?.verdict === "relabelled" ? entry.feedback.risk_types[0] : entry.risk_type);
    const others = el("div", { class: "others" });
    panel.replaceChildren(...[
      el("div", { class: "detail-head" }, el("h2", { text: riskOf(entry, taxonomy) }), el("span", { class: `tag ${taxonomy.colourOf(categoryOf(entry, taxonomy))}`, text: type?.categoryTitle || entry.category_title })),
      type ? el("p", { class: "sub", text: type.definition }) : null,
      this.#why(entry),
      entry.feedback?.carried_from ? el("p", { class: "sub" }, "Your verdict is from ", el("a", { href: `/scans/${entry.feedback.carried_from}`, text: "an earlier scan of this document" }), ".") : null,
      ...this.#verdict(entry),
      entry.kind === "finding" ? el("p", { class: "sub" }, el("a", { href: `/search?like=${this.review.scan.scan_id}/${entry.id}${scopeOf(this.review.scan)}`, text: "More like this" })) : null,
      this.actions.risksOf(entry),
      this.actions.coursesOf(entry),
      others].filter(Boolean));
    if (focused !== null) (panel.querySelector(`[name="${focused}"]:enabled`) || panel.querySelector("button:enabled"))?.focus();
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
      this.actions.why && el("button", { type: "button", class: "link", name: "why", text: "Why?", onclick: () => this.actions.why() })));
  }

  /** The visitor's verdict with its comment, or why there is none. */
  #verdict(entry) {
    if (entry.kind !== "finding") return [el("p", { class: "sub", text: "You can take the report back with Undo." })];
    if (!this.actions.canJudge) return [el("p", { class: "sub", text: "Its owner shares this scan with your team: you can read it." })];
    return [this.#buttons(entry), this.#comment(entry)];
  }

  #buttons(entry) {
    const button = (verdict, title, key, run) => el("button", { type: "button", name: verdict, class: `button act v-${verdict}`, "aria-pressed": verdictOf(entry) === verdict ? "true" : "false", onclick: run },
      `${title} `, el("kbd", { "aria-hidden": "true", text: key }));
    return el("div", { class: "acts" },
      button("confirmed", "Confirm", "y", () => this.actions.confirm()),
      button("rejected", "Reject", "n", () => this.actions.reject()),
      button("relabelled", "Relabel", "r", () => this.actions.relabel()));
  }

  /** The visitor's comment, which belongs to a verdict. */
  #comment(entry) {
    const form = el("form", { class: "comment" },
      el("input", { type: "text", id: "comment", name: "comment", maxlength: 2000, disabled: !entry.feedback, autocomplete: "off",
        placeholder: entry.feedback ? "Comment" : "Comment, after a verdict", "aria-label": "Comment on this finding" }),
      el("button", { class: "button small", name: "save", disabled: !entry.feedback, text: "Save" }));
    const { comment } = form.elements;
    comment.value = this.review.drafts.get(entry) ?? this.review.commentOn(entry);
    comment.addEventListener("input", () => this.review.draft(entry, comment.value));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.actions.comment(entry, comment.value.trim()); });
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
