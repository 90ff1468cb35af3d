// The findings of a scan with the visitor's verdicts: filters, selection, verdicts and undo. It knows no elements.
import { get, getAll, post, put, query, remove } from "./api.js";

const FIRST_FINDINGS = 200;
const FINDINGS_PER_PAGE = 1000;

/** Fetches the first findings of a scan, more than the page shows at once. */
export const fetchFirst = (scanId) => get(`/scans/${scanId}/findings${query({ per_page: FIRST_FINDINGS })}`);

/** Returns the verdict on an entry: open, confirmed, rejected, relabelled or missed. */
export const verdictOf = (entry) => entry.feedback?.verdict || "open";

/** Emits "change" with the changed entry, "select" and "filter". */
export class Review extends EventTarget {
  constructor(scan, taxonomy, first) {
    super();
    this.scan = scan;
    this.taxonomy = taxonomy;
    this.filters = { category: "", verdict: "", score: 0 };
    this.selected = null;
    this.undoable = [];
    this.drafts = new Map(); // comments that differ from the stored ones, by entry
    this.path = `/scans/${scan.scan_id}`;
    this.entries = first.items.map(findingEntry);
    this.nextAfter = first.next_after;
    this.#sort();
  }

  /** Fetches the findings after those of `fetchFirst`, and the missed risks that the visitor may see. */
  async loadRest() {
    const [findings, feedback] = await Promise.all([
      this.nextAfter === null ? [] : getAll(`${this.path}/findings`, { position: "after", perPage: FINDINGS_PER_PAGE, from: this.nextAfter }),
      getAll(`${this.path}/feedback`),
    ]);
    const known = new Set(this.entries.map(({ key }) => key));
    const missed = feedback.filter((row) => row.verdict === "missed").map((row) => this.#missedEntry(row)).filter(({ key }) => !known.has(key));
    if (!findings.length && !missed.length) return;
    this.entries.push(...findings.map(findingEntry), ...missed);
    this.#sort();
    this.#emit("filter");
  }

  get nReviewed() { return this.entries.filter((entry) => verdictOf(entry) !== "open").length; }

  byKey(key) { return this.entries.find((entry) => entry.key === key); }

  visible() {
    const { category, verdict, score } = this.filters;
    return this.entries.filter((entry) => (!category || entry.category === category || this.#relabelled(entry, category))
      && (!verdict || verdictOf(entry) === verdict)
      && (!score || (entry.score ?? 1) >= score));
  }

  /** Returns the categories that the entries have, with their number, most frequent first. */
  categories() {
    const counts = new Map();
    for (const { category, category_title: title } of this.entries) {
      if (!category) continue;
      const known = counts.get(category) || { category, title, n: 0 };
      known.n += 1;
      counts.set(category, known);
    }
    return [...counts.values()].sort((a, b) => b.n - a.n);
  }

  setFilters(filters) {
    Object.assign(this.filters, filters);
    const visible = this.visible();
    if (!visible.includes(this.selected)) this.selected = visible[0] || null;
    this.#emit("filter");
    this.#emit("select");
  }

  select(entry, detail = {}) {
    this.selected = entry;
    this.#emit("select", detail);
  }

  /** Selects the visible entry `by` places after the selected one, or before it if negative. */
  step(by) {
    const visible = this.visible();
    if (!visible.length) return;
    const at = visible.indexOf(this.selected);
    const place = at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + by));
    this.select(visible[place]);
  }

  /** Stores a verdict on a finding and, if `goOn`, selects the next open one, unless the visitor went elsewhere meanwhile. */
  async judge(entry, body, { goOn = true } = {}) {
    const before = entry.feedback;
    const draft = this.drafts.get(entry);
    const comment = draft?.trim() ?? before?.comment;
    if (comment && !("comment" in body)) body.comment = comment; // a new verdict keeps the comment
    const following = this.#following(entry);
    await this.#store(entry, () => put(`${this.path}/findings/${entry.id}/feedback`, body));
    if (this.drafts.get(entry) === draft) this.drafts.delete(entry);
    this.undoable.push({ entry, before });
    this.#emit("change", entry);
    if (goOn && following && this.selected === entry) this.select(following);
    else this.#emit("select");
  }

  /** Keeps what the visitor types as a comment until it is stored. */
  draft(entry, text) {
    if (text === this.commentOn(entry)) this.drafts.delete(entry);
    else this.drafts.set(entry, text);
  }

  commentOn(entry) { return entry.feedback?.comment || ""; }

  /** Stores a comment beside the verdict, or removes it. */
  comment(entry, text) {
    const body = bodyOf({ ...entry.feedback, comment: null });
    return this.judge(entry, text ? { ...body, comment: text } : { ...body, comment: undefined }, { goOn: false });
  }

  /** Reports a missed risk; `span` has start, end and context. */
  async report(span, riskTypes) {
    const before = this.selected;
    const row = await post(`${this.path}/feedback`, { ...span, risk_types: riskTypes });
    const entry = this.#missedEntry(row);
    this.entries = this.entries.filter((other) => other.key !== entry.key);
    this.entries.push(entry);
    this.#sort();
    this.undoable.push({ entry, before: null });
    this.#emit("change", entry);
    if (this.selected === before) this.select(entry);
  }

  /** Undoes the last verdict or report and selects its entry; returns whether there was one. */
  async undo() {
    const last = this.undoable.pop();
    if (!last) return false;
    const { entry, before } = last;
    const { selected } = this;
    try {
      if (entry.kind === "missed") {
        await remove(`${this.path}/feedback/${entry.feedback.id}`);
        this.entries = this.entries.filter((other) => other !== entry);
        if (this.selected === entry) this.selected = this.visible()[0] || null;
      } else {
        const place = `${this.path}/findings/${entry.id}/feedback`;
        entry.feedback = before ? await put(place, bodyOf(before)) : (await remove(place), null);
        if (this.selected === selected) this.selected = entry;
      }
    } catch (error) {
      this.undoable.push(last);
      throw error;
    }
    this.#emit("change", entry);
    this.#emit("select");
    return true;
  }

  async #store(entry, send) {
    entry.isSaving = true;
    try { entry.feedback = await send(); } finally { entry.isSaving = false; }
  }

  /** Returns the next open visible entry after this one, else the first one from the start. */
  #following(entry) {
    const visible = this.visible();
    const at = visible.indexOf(entry);
    const rest = [...visible.slice(at + 1), ...visible.slice(0, Math.max(at, 0))];
    return rest.find((other) => verdictOf(other) === "open") || null;
  }

  #relabelled(entry, category) {
    return verdictOf(entry) === "relabelled" && entry.feedback.risk_types.some((key) => this.taxonomy.typeOf(key)?.category === category);
  }

  #missedEntry(row) {
    const types = row.risk_types.map((key) => this.taxonomy.typeOf(key) || { key, title: key, category: null, categoryTitle: "" });
    return { key: `m${row.id}`, kind: "missed", id: null, risk_type: types[0].key, risk: types.map((type) => type.title).join(", "), category: types[0].category,
      category_title: types[0].categoryTitle, score: null, context: row.context, start: row.start, end: row.end, located: true, page: null, feedback: row };
  }

  #sort() {
    this.entries.sort((a, b) => (a.start ?? Infinity) - (b.start ?? Infinity) || (a.id ?? 0) - (b.id ?? 0));
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}

const findingEntry = (finding) => ({ ...finding, key: `f${finding.id}`, kind: "finding" });

function bodyOf(row) {
  const body = { verdict: row.verdict };
  if (row.verdict === "relabelled") body.risk_types = row.risk_types;
  if (row.comment) body.comment = row.comment;
  return body;
}
