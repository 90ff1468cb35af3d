// What the pages of courses share: progress, states and the HTML of lessons.
import { count, el, time } from "./ui.js";

const STATES = { not_started: "not started", in_progress: "in progress", completed: "completed", overdue: "overdue" };
const KINDS = { completed: "stable", overdue: "drifted" };
// The server sanitized this HTML (rendering.py); it is the only HTML that a script of these pages parses.
const policy = globalThis.trustedTypes?.createPolicy("lesson", { createHTML: (html) => html });

export const stateTitle = (status) => STATES[status];
export const stateBadge = (status) => el("span", { class: `badge ${KINDS[status] ?? ""}`, text: STATES[status] });
export const mayWrite = () => document.querySelector("meta[name=permissions]").content.split(" ").includes("courses");
export const coursePath = (id) => `/courses/${id}`;

/** Shows how many lessons are done, as a bar and in words. */
export function progressOf({ n_done, n_lessons }) {
  const words = `${n_done} of ${count(n_lessons, "lesson")}`;
  return el("span", { class: "course-progress" }, el("progress", { max: Math.max(n_lessons, 1), value: n_done, "aria-label": words }), el("span", { class: "sub", text: words }));
}

/** Says until when an enrolment is to be completed, or when it was. */
export function dueOf({ due_at, completed_at }) {
  if (completed_at) return el("span", { class: "sub" }, "completed ", time(completed_at));
  return due_at ? el("span", { class: "sub" }, "due ", time(due_at)) : "";
}

/** Replaces the content of `box` by the HTML of a lesson. */
export function showLesson(box, html) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  box.replaceChildren(...parsed.body.childNodes);
}
