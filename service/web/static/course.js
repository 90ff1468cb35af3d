// A course: its lessons with the visitor's progress, its files, and findings before and after it.
import { get, post, query, remove } from "./api.js";
import { coursePath, dueOf, mayWrite, progressOf, stateBadge } from "./course-parts.js";
import { showEffect } from "./effect.js";
import { attempt, byId, bytes, complain, count, el, once } from "./ui.js";

const id = byId("course").dataset.course;
const place = `/courses/${id}`;

function lessonItem(lesson, isEnrolled) {
  const isDone = Boolean(lesson.progress?.completed_at);
  const title = isEnrolled || mayWrite() ? el("a", { class: "grow", href: `${coursePath(id)}/lessons/${lesson.id}`, text: lesson.title }) : el("span", { class: "grow", text: lesson.title });
  const quiz = lesson.n_questions ? `, ${count(lesson.n_questions, "question")}` : "";
  return el("li", {}, title, el("span", { class: "sub", text: `${lesson.minutes} min${quiz}` }), isDone ? el("span", { class: "done", text: "done" }) : "");
}

const fileItem = (file) => el("li", {}, el("a", { class: "grow", href: `/api/v1${place}/files/${file.id}/content`, text: file.name }), el("span", { class: "sub", text: bytes(file.size_bytes) }));

async function enrol() {
  const from = new URLSearchParams(location.search).has("recommended");
  await post("/enrolments", { course_id: id, is_recommended: from });
  await load();
}

async function leave(enrolment) {
  if (!confirm("Leave this course? Your progress stays, in case you take it again.")) return;
  await remove(`/enrolments/${enrolment.id}`);
  await load();
}

function showEnrolment(enrolment, lessons, course) {
  const box = byId("enrolment");
  if (!enrolment) {
    box.replaceChildren(course.status === "active" ? el("button", { class: "button primary", type: "button", id: "enrol", text: "Take this course", onclick: once(attempt(enrol)) }) : "");
    return;
  }
  const open = lessons.find((lesson) => !lesson.progress?.completed_at);
  box.replaceChildren(progressOf(enrolment), stateBadge(enrolment.status), dueOf(enrolment),
    open ? el("a", { class: "button primary", href: `${coursePath(id)}/lessons/${open.id}`, text: enrolment.n_done ? "Continue" : "Start" }) : "",
    enrolment.enrolled_by_self || mayWrite() ? el("button", { class: "button quiet", type: "button", text: "Leave", onclick: attempt(() => leave(enrolment)) }) : "");
}

async function load() {
  const [course, lessons, files, enrolments] = await Promise.all([
    get(place), get(`${place}/lessons`), get(`${place}/files`), get(`/enrolments${query({ course_id: id })}`)]);
  const enrolment = enrolments.items[0];
  document.title = `${course.title} · Riskscan`;
  byId("title").textContent = course.title;
  const minutes = lessons.items.reduce((sum, lesson) => sum + lesson.minutes, 0);
  byId("about").textContent = `${course.code}, ${count(lessons.items.length, "lesson")}, ${minutes} min${course.status === "active" ? "" : `, ${course.status}`}`;
  byId("description").textContent = course.description;
  if (mayWrite()) byId("actions").replaceChildren(el("a", { class: "button", href: `${coursePath(id)}/edit`, text: "Edit" }), el("a", { class: "button", href: `${coursePath(id)}/cohort`, text: "Cohort" }));
  showEnrolment(enrolment, lessons.items, course);
  byId("lessons").replaceChildren(...lessons.items.map((lesson) => lessonItem(lesson, Boolean(enrolment))));
  byId("lessons").hidden = lessons.items.length === 0;
  byId("no-lessons").hidden = lessons.items.length > 0;
  byId("files").replaceChildren(...files.items.map(fileItem));
  byId("files-section").hidden = files.items.length === 0;
  if (enrolment?.status === "completed") await showEffect(id, "own");
}

load().catch((error) => {
  byId("title").textContent = error.status === 404 ? "No such course" : "This course cannot be shown";
  complain(error);
});
