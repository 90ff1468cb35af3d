// In the review: the recommended courses about a finding that the visitor confirmed or relabelled.
import { get } from "./api.js";
import { verdictOf } from "./review-state.js";
import { complain, el } from "./ui.js";

/** Returns a function that gives the element about an entry's courses, which is filled when they are known. */
export function coursesOf(review) {
  let recommended = null; // a promise, until a verdict changes what is recommended
  review.addEventListener("change", () => { recommended = null; });
  return (entry) => {
    const topics = topicsOf(entry, review.taxonomy);
    const place = el("div", { class: "courses-of" });
    if (!topics.length) return place;
    recommended ??= get("/recommendations?per_page=100");
    recommended.then(({ items }) => place.append(...list(items.filter(({ reasons }) => reasons.some(({ kind, key }) => topics.includes(`${kind} ${key}`)))))).catch(complain);
    return place;
  };
}

/** Returns the risk types and categories of a finding, as courses name them; none without a verdict that confirms it. */
function topicsOf(entry, taxonomy) {
  const verdict = verdictOf(entry);
  if (entry.kind !== "finding" || !["confirmed", "relabelled"].includes(verdict)) return [];
  const keys = verdict === "relabelled" ? entry.feedback.risk_types : [entry.risk_type];
  return keys.flatMap((key) => [`risk_type ${key}`, `category ${taxonomy.typeOf(key)?.category}`]);
}

function list(items) {
  if (!items.length) return [];
  const links = items.map(({ course, enrolment_id }) => el("li", {}, el("a", { href: `/courses/${course.id}${enrolment_id ? "" : "?recommended"}`, text: course.title })));
  return [el("p", { class: "sub", text: "Recommended:" }), el("ul", { "aria-label": "Recommended courses" }, ...links)];
}
