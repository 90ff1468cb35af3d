// The list of courses: recommended ones with their reasons, the visitor's own, and all.
import { get, post, query } from "./api.js";
import { coursePath, dueOf, mayWrite, progressOf, stateBadge } from "./course-parts.js";
import { loadTaxonomy } from "./taxonomy.js";
import { attempt, byId, complain, count, debounced, el, newest, once } from "./ui.js";

const N_LINKS = 5;
const next = { own: null, all: null };
let taxonomy;
const newestCourses = newest(byId("more"));
const newestOwn = newest(byId("more-own"));

const tag = (key) => el("span", { class: `tag ${taxonomy.colourOf(key)}`, text: taxonomy.categories.find((one) => one.key === key)?.title || key });
const courseLink = ({ id, title }, query = "") => el("a", { class: "title", href: coursePath(id) + query, text: title });

async function enrol(course, isRecommended) {
  await post("/enrolments", { course_id: course.id, is_recommended: isRecommended });
  location.assign(coursePath(course.id));
}

/** Says why a course is recommended, with links to the findings on their review pages. */
function reasonItem({ title, n_findings, findings }) {
  const links = findings.slice(0, N_LINKS).flatMap(({ scan_id, n }, i) => [i ? ", " : " ", el("a", { href: `/scans/${scan_id}?finding=${n}`, "aria-label": `Finding ${i + 1} of ${title}`, text: `${i + 1}` })]);
  return el("li", {}, `${count(n_findings, "confirmed finding")} of ${title}:`, ...links, n_findings > N_LINKS ? " …" : "");
}

function recommendedCard({ course, enrolment_id, reasons }) {
  const start = enrolment_id ? el("a", { class: "button", href: coursePath(course.id), text: "Continue" })
    : el("button", { class: "button primary", type: "button", text: "Start", "aria-label": `Start: ${course.title}`, onclick: once(attempt(() => enrol(course, true))) });
  return el("article", { class: "card course-card" },
    el("h3", {}, courseLink(course, "?recommended")), el("p", { class: "sub", text: `${course.code}, ${count(course.n_lessons, "lesson")}` }),
    el("ul", { class: "reasons" }, ...reasons.map(reasonItem)), el("div", { class: "row" }, start));
}

async function loadRecommended() {
  const { items } = await get("/recommendations?per_page=3");
  byId("recommended").replaceChildren(...items.map(recommendedCard));
  byId("recommended-section").hidden = items.length === 0;
}

function ownRow(enrolment) {
  const title = enrolment.course_status === "active" || mayWrite() ? courseLink({ id: enrolment.course_id, title: enrolment.course_title }) : el("span", { class: "title", text: enrolment.course_title });
  return el("tr", {}, el("td", {}, title, el("br"), el("span", { class: "sub", text: enrolment.course_code })), el("td", {}, progressOf(enrolment)),
    el("td", {}, stateBadge(enrolment.status), " ", dueOf(enrolment)));
}

async function loadOwn({ more = false } = {}) {
  const page = await newestOwn(get(`/enrolments${query({ per_page: 20, cursor: more ? next.own : null })}`), { more });
  if (!page) return;
  fill("own", page, ownRow, more);
  byId("more-own").hidden = (next.own = page.next_cursor) === null;
  byId("no-own").hidden = !byId("own").hidden;
}

function fill(table, page, row, more) {
  const body = document.querySelector(`#${table} tbody`);
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId(table).hidden = body.children.length === 0;
}

function courseRow(course) {
  const about = [...new Set([...course.categories, ...course.risk_types.map((key) => taxonomy.typeOf(key)?.category).filter(Boolean)])];
  const actions = mayWrite() ? [["Edit", "edit"], ["Cohort", "cohort"]].map(([title, page]) => el("a", { class: "button small quiet", href: `${coursePath(course.id)}/${page}`, "aria-label": `${title}: ${course.title}`, text: title })) : [];
  return el("tr", {},
    el("td", {}, courseLink(course), course.status === "active" ? "" : el("span", { class: "badge", text: course.status }), el("br"), el("span", { class: "sub", text: course.code })),
    el("td", { class: "tags" }, ...about.map(tag)), el("td", { class: "num" }, course.n_lessons.toLocaleString(), el("span", { class: "sub narrow-only", text: course.n_lessons === 1 ? " lesson" : " lessons" })),
    el("td", { class: "num nowrap" }, ...actions));
}

async function load({ more = false } = {}) {
  const filters = { search: byId("search").value.trim(), category: byId("category").value, status: byId("status")?.value };
  taxonomy ??= await loadTaxonomy();
  const page = await newestCourses(get(`/courses${query({ per_page: 50, ...filters, cursor: more ? next.all : null })}`), { more });
  if (!page) return;
  fill("courses", page, courseRow, more);
  byId("more").hidden = (next.all = page.next_cursor) === null;
  byId("empty").hidden = !byId("courses").hidden;
}

async function start() {
  taxonomy = await loadTaxonomy();
  byId("category").append(...taxonomy.categories.map(({ key, title }) => el("option", { value: key, text: title })));
  await load();
}

byId("new-course")?.addEventListener("submit", once(attempt(async () => {
  const course = await post("/courses", { code: byId("code").value.trim(), title: byId("title").value.trim() });
  location.assign(`${coursePath(course.id)}/edit`);
})));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", debounced(() => load().catch(complain)));
byId("more").addEventListener("click", attempt(() => load({ more: true })));
byId("more-own").addEventListener("click", attempt(() => loadOwn({ more: true })));
loadRecommended().catch(complain);
loadOwn().catch(complain);
start().catch(complain);
