// The cohort of a course: enrol people, and see how far each is.
import { get, getAll, post, query, remove } from "./api.js";
import { dueOf, progressOf, stateBadge, stateTitle } from "./course-parts.js";
import { showEffect } from "./effect.js";
import { flatDrawing, svgElement } from "./svg.js";
import { attempt, byId, complain, count, el, newest, once, refuse, toast } from "./ui.js";

const courseId = byId("cohort").dataset.course;
const STATES = ["completed", "in_progress", "not_started", "overdue"];
const REASONS = { manual: "by an instructor", recommended: "recommended", role: "by role" };
const reasonOf = ({ source, enrolled_by_self }) => (source === "manual" && enrolled_by_self ? "by themselves" : REASONS[source]);
const newestPage = newest(byId("more"));
let next = null;

/** Draws how many learners have each state, as parts of one bar. */
function showChart(counts) {
  const all = STATES.reduce((sum, state) => sum + counts[state], 0);
  const drawing = flatDrawing("cohort-bar");
  let x = 0;
  for (const state of STATES) {
    const width = all ? (100 * counts[state]) / all : 0;
    drawing.append(svgElement("rect", { x, y: 0, width, height: 8, class: `part ${state}` }));
    x += width;
  }
  byId("chart").replaceChildren(drawing);
  byId("legend").replaceChildren(...STATES.map((state) => el("li", {}, el("span", { class: `dot ${state}` }), `${counts[state].toLocaleString()} ${stateTitle(state)}`)));
}

async function away(learner) {
  if (!confirm(`End the enrolment of ${learner.email}?`)) return;
  await remove(`/enrolments/${learner.enrolment_id}`);
  await load();
}

function row(learner) {
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: learner.email })), el("td", {}, progressOf(learner)),
    el("td", {}, stateBadge(learner.status), " ", dueOf(learner)), el("td", { class: "sub", text: reasonOf(learner) }),
    el("td", { class: "num" }, el("button", { class: "button small quiet danger", type: "button", text: "Remove", "aria-label": `Remove: ${learner.email}`, onclick: attempt(() => away(learner)) })));
}

async function load({ more = false } = {}) {
  const page = await newestPage(get(`/courses/${courseId}/cohort${query({ per_page: 50, cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#learners tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(row));
  byId("more").hidden = next === null;
  byId("learners").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
  showChart(page.counts);
}

/** Shows the field for the chosen kind of people. */
function showWhom() {
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== byId("whom").value;
  byId("email").required = byId("whom").value === "email";
}

async function enrol() {
  byId("fault").hidden = true;
  const kind = byId("whom").value;
  const whom = { email: byId("email").value.trim(), team_id: byId("team").value, role: byId("role").value }[kind];
  const due = byId("due").value;
  const body = { course_id: courseId, [kind]: whom, ...(due ? { due_at: new Date(`${due}T23:59:59`).toISOString() } : {}) }; // the end of the visitor's day
  try {
    const { n_created, n_existing } = await post("/enrolments", body);
    toast(`${count(n_created, "person", "people")} enrolled${n_existing ? `, ${n_existing.toLocaleString()} before` : ""}.`);
    byId("email").value = "";
    await load();
  } catch (error) { refuse(byId("fault"), error); }
}

async function loadTeams() {
  const isAdmin = document.querySelector("meta[name=permissions]").content.split(" ").includes("people");
  const teams = await getAll("/teams", { filters: { scope: isAdmin ? "all" : "own" } });
  byId("team").replaceChildren(...teams.map(({ id, name }) => el("option", { value: id, text: name })));
  byId("whom").querySelector("[value=team_id]").disabled = teams.length === 0;
}

byId("whom").addEventListener("change", showWhom);
byId("enrol").addEventListener("submit", once(enrol));
byId("more").addEventListener("click", attempt(() => load({ more: true })));
showWhom();
loadTeams().catch(complain);
load().catch(complain);
get(`/courses/${courseId}`).then((course) => { byId("back").textContent = course.title; document.title = `Cohort of ${course.title} · Riskscan`; }).catch(complain);
showEffect(courseId, "cohort").catch(complain);
