// SVG elements, and the bar that shows a probability.
const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element with attributes and, if given, a text. */
export function svgElement(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Makes an empty drawing of 100 x 8 units, which stretches to the place it gets; screen readers skip it. */
export const flatDrawing = (className) => svgElement("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", class: className, "aria-hidden": "true" });

/** Draws a probability with the threshold from which the model reports it. */
export function scoreBar(score, threshold) {
  const drawing = flatDrawing("score-bar");
  drawing.append(svgElement("rect", { x: 0, y: 2, width: 100, height: 4, class: "score-track" }), svgElement("rect", { x: 0, y: 2, width: score * 100, height: 4, class: "score-fill" }));
  if (threshold !== null) drawing.append(svgElement("rect", { x: threshold * 100 - 0.4, y: 0, width: 0.8, height: 8, class: "score-mark" }));
  return drawing;
}
