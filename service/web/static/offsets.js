// The API counts characters in code points, JavaScript in UTF-16 units; these agree unless a text has surrogates.

/** A text addressed by code points. */
export class Characters {
  constructor(text) {
    this.text = text;
    this.points = /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
    this.length = this.points ? this.points.length : text.length;
  }

  slice(start, end) {
    return this.points ? this.points.slice(start, end).join("") : this.text.slice(start, end);
  }

  /** Returns the number of code points in the first `units` UTF-16 units. */
  pointsBefore(units) {
    return this.points ? Array.from(this.text.slice(0, units)).length : units;
  }
}

const segmenter = typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "sentence" }) : null;

/** Returns the sentences of a text as [start, end) in code points, without surrounding white space. */
export function sentencesIn(characters) {
  const spans = [];
  let lineStart = 0;
  for (const line of characters.text.split("\n")) {
    const pieces = segmenter ? segmenter.segment(line) : [{ segment: line, index: 0 }];
    for (const { segment, index } of pieces) {
      const trimmed = segment.trim();
      if (!trimmed) continue;
      const units = lineStart + index + segment.indexOf(trimmed);
      spans.push({ start: characters.pointsBefore(units), end: characters.pointsBefore(units + trimmed.length) });
    }
    lineStart += line.length + 1;
  }
  return spans;
}
