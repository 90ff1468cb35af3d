// The document's text: loaded in pieces as one scrolls, with the entries marked in it.
import { get, query } from "./api.js";
import { byId, complain, el } from "./ui.js";
import { Characters, sentencesIn } from "./offsets.js";
import { verdictOf } from "./review-state.js";

const PIECE_CHARS = 6000;
const CHARS_PER_LINE = 95;
const LINE_PX = 26;

/** Returns the class that says how sure the model was. */
export function strength(score) {
  if (score === null || score === undefined) return "s3";
  return score < 0.5 ? "s1" : score < 0.7 ? "s2" : score < 0.9 ? "s3" : "s4";
}

export class TextPane {
  constructor(review, document_) {
    this.review = review;
    this.document = document_;
    this.root = byId("text");
    this.pieces = piecesOf(document_.pages).map((piece) => this.#shell(piece));
    this.root.replaceChildren(...this.pieces.map((piece) => piece.box));
    this.observer = new IntersectionObserver((seen) => this.#onSeen(seen), { root: this.root, rootMargin: "1200px 0px" });
    for (const piece of this.pieces) this.observer.observe(piece.box);
    this.root.addEventListener("click", (event) => this.#onClick(event));
    review.addEventListener("change", ({ detail: entry }) => this.#redrawAt(entry.start, entry.end));
    review.addEventListener("filter", () => this.#redrawAll());
    review.addEventListener("select", ({ detail }) => this.#onSelect(detail || {}));
  }

  #shell(piece) {
    const text = el("div", { class: "sheet-text" });
    const label = piece.label ? el("p", { class: "sheet-label", text: piece.label }) : null;
    const box = el("div", { class: label ? "sheet starts-page" : "sheet" }, label, text);
    text.style.minHeight = `${Math.ceil((piece.end - piece.start) / CHARS_PER_LINE + 2) * LINE_PX}px`;
    return { ...piece, box, text, characters: null, loading: null };
  }

  #onSeen(seen) {
    const boxes = new Set(seen.filter((entry) => entry.isIntersecting).map((entry) => entry.target));
    let run = [];
    for (const piece of this.pieces) {
      if (boxes.has(piece.box) && !piece.loading) run.push(piece);
      else if (run.length) { this.#loadRun(run); run = []; }
    }
    if (run.length) this.#loadRun(run);
  }

  /** Loads neighbouring pieces with one request. */
  #loadRun(run) {
    const loading = this.#fetch(run);
    for (const piece of run) piece.loading = loading;
    loading.catch((error) => { for (const piece of run) piece.loading = null; complain(error); });
    return loading;
  }

  #load(piece) { return piece.loading || this.#loadRun([piece]); }

  async #fetch(run) {
    const [start, end] = [run[0].start, run.at(-1).end];
    let text = "";
    let at = start;
    while (at < end) { // an answer may end before the range does
      const part = await get(`/documents/${this.document.id}/text${query({ start: at, end })}`);
      text += part.text;
      if (part.end <= at) break;
      at = part.end;
    }
    const all = new Characters(text);
    for (const piece of run) {
      piece.characters = new Characters(all.slice(piece.start - start, piece.end - start));
      this.observer.unobserve(piece.box);
      piece.text.style.minHeight = "";
      this.#draw(piece);
    }
  }

  #draw(piece) {
    const visible = new Set(this.review.visible());
    const entries = this.review.entries.filter((entry) => entry.start !== null && entry.start < piece.end && entry.end > piece.start && visible.has(entry));
    const cuts = new Set([piece.start, piece.end]);
    for (const { start, end } of entries) { cuts.add(Math.max(start, piece.start)); cuts.add(Math.min(end, piece.end)); }
    const places = [...cuts].sort((a, b) => a - b);
    const nodes = [];
    for (let i = 0; i + 1 < places.length; i += 1) {
      const [start, end] = [places[i], places[i + 1]];
      const text = piece.characters.slice(start - piece.start, end - piece.start);
      const here = entries.filter((entry) => entry.start <= start && entry.end >= end);
      nodes.push(here.length ? this.#mark(here, text) : text);
    }
    piece.text.replaceChildren(...nodes);
  }

  #mark(entries, text) {
    const chosen = entries.find((entry) => entry === this.review.selected) || entries[0];
    const classes = [this.review.taxonomy.colourOf(categoryOf(chosen, this.review.taxonomy)), strength(chosen.score), `is-${verdictOf(chosen)}`];
    if (entries.includes(this.review.selected)) classes.push("is-selected");
    return el("mark", { class: classes.join(" "), dataset: { keys: entries.map((entry) => entry.key).join(" ") }, text });
  }

  #redrawAt(start, end) {
    for (const piece of this.pieces) if (piece.characters && start < piece.end && end > piece.start) this.#draw(piece);
  }

  #redrawAll() { for (const piece of this.pieces) if (piece.characters) this.#draw(piece); }

  #onClick(event) {
    const mark = event.target.closest("mark");
    if (!mark || !getSelection().isCollapsed) return;
    const keys = mark.dataset.keys.split(" ");
    const at = keys.indexOf(this.review.selected?.key);
    this.review.select(this.review.byKey(keys[(at + 1) % keys.length]), { fromText: true });
  }

  async #onSelect({ fromText }) {
    const entry = this.review.selected;
    for (const mark of this.root.querySelectorAll("mark.is-selected")) mark.classList.remove("is-selected");
    if (!entry || entry.start === null) return;
    const piece = this.#pieceAt(entry.start);
    if (!piece) return;
    try { await this.#load(piece); } catch { return; }
    if (this.review.selected !== entry) return;
    this.#redrawAt(entry.start, entry.end);
    const mark = piece.text.querySelector(`mark[data-keys~="${entry.key}"]`);
    if (mark && !fromText) mark.scrollIntoView({ block: "center" });
  }

  #pieceAt(offset) { return this.pieces.find((piece) => offset >= piece.start && offset < piece.end); }

  /** Returns the number of the page at an offset, or null. */
  pageAt(offset) { return this.#pieceAt(offset)?.page ?? null; }

  /** Returns what the visitor has selected in the text as a span with its context, or null. */
  selectedSpan() {
    const selection = getSelection();
    if (selection.isCollapsed || !selection.rangeCount) return null;
    const range = selection.getRangeAt(0);
    const start = this.#offsetOf(range.startContainer, range.startOffset);
    const end = this.#offsetOf(range.endContainer, range.endOffset);
    if (start === null || end === null || end <= start) return null;
    return this.#widened(start, end);
  }

  #offsetOf(node, offset) {
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    const text = element.closest?.(".sheet-text");
    const piece = text && this.pieces.find((candidate) => candidate.text === text);
    if (!piece?.characters) return null;
    const before = document.createRange();
    before.setStart(piece.text, 0);
    before.setEnd(node, offset);
    return piece.start + piece.characters.pointsBefore(before.toString().length);
  }

  /** Trims a span; one within a sentence becomes the whole sentence, as labels are about sentences. */
  #widened(start, end) {
    const piece = this.#pieceAt(start);
    const sentence = sentencesIn(piece.characters)
      .map((span) => ({ start: span.start + piece.start, end: span.end + piece.start }))
      .find((span) => span.start <= start && span.end >= end);
    if (sentence) return { ...sentence, context: this.#textOf(sentence.start, sentence.end) };
    const context = this.#textOf(start, end);
    const [lead, tail] = [context.length - context.trimStart().length, context.length - context.trimEnd().length];
    return context.trim() ? { start: start + lead, end: end - tail, context: context.trim() } : null;
  }

  #textOf(start, end) {
    return this.pieces.filter((piece) => piece.characters && start < piece.end && end > piece.start)
      .map((piece) => piece.characters.slice(Math.max(start, piece.start) - piece.start, Math.min(end, piece.end) - piece.start)).join("");
  }

  /** Selects the next (or with -1 the previous) sentence, as a reader without a mouse needs it. */
  async stepSentence(by) {
    const current = this.selectedSpan();
    const from = current ? (by > 0 ? current.end : current.start) : this.#startOfView();
    let at = this.pieces.indexOf(this.#pieceAt(Math.min(from, this.pieces.at(-1).end - 1)));
    for (; at >= 0 && at < this.pieces.length; at += by) {
      const piece = this.pieces[at];
      await this.#load(piece);
      const spans = sentencesIn(piece.characters);
      const found = by > 0 ? spans.find((span) => span.start + piece.start >= from) : spans.findLast((span) => span.end + piece.start <= from);
      if (found) { this.#selectText(piece, found); return; }
    }
  }

  /** Selects the sentence at an offset. */
  async showSentence(offset) {
    const piece = this.#pieceAt(offset);
    if (!piece) return;
    await this.#load(piece);
    const span = sentencesIn(piece.characters).find(({ end }) => piece.start + end > offset);
    if (span) { piece.box.scrollIntoView(); this.#selectText(piece, span); }
  }

  #startOfView() {
    const selected = this.review.selected;
    if (selected && selected.start !== null) return selected.start;
    const top = this.root.getBoundingClientRect().top;
    return (this.pieces.find((piece) => piece.box.getBoundingClientRect().bottom > top + 40) || this.pieces[0]).start;
  }

  #selectText(piece, span) {
    const before = piece.characters.slice(0, span.start).length;
    const length = piece.characters.slice(span.start, span.end).length;
    const range = document.createRange();
    const walker = document.createTreeWalker(piece.text, NodeFilter.SHOW_TEXT);
    let seen = 0;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const end = seen + node.length;
      if (before >= seen && before < end) range.setStart(node, before - seen);
      if (before + length > seen && before + length <= end) { range.setEnd(node, before + length - seen); break; }
      seen = end;
    }
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    range.startContainer.parentElement.scrollIntoView({ block: "nearest" });
    const place = range.getBoundingClientRect();
    const view = this.root.getBoundingClientRect();
    if (place.top < view.top + 20 || place.bottom > view.bottom - 60) this.root.scrollBy(0, place.top - view.top - view.height / 3);
  }
}

/** Returns the category that an entry has after the visitor's verdict. */
export function categoryOf(entry, taxonomy) {
  if (verdictOf(entry) !== "relabelled") return entry.category;
  return taxonomy.typeOf(entry.feedback.risk_types[0])?.category || entry.category;
}

function piecesOf(pages) {
  return pages.flatMap(({ page, part, start, end }, i) => {
    const label = part ? part : page ? `Page ${page}` : null;
    const isNew = i === 0 || pages[i - 1].page !== page || pages[i - 1].part !== part;
    const pieces = [];
    for (let at = start; at < end; at += PIECE_CHARS) {
      pieces.push({ page, start: at, end: Math.min(end, at + PIECE_CHARS), label: at === start && isNew ? label : null });
    }
    return pieces;
  });
}
