// A lesson: its text, its quiz, and the way to say that it is done.
import { get, post, put, query } from "./api.js";
import { coursePath, showLesson } from "./course-parts.js";
import { attempt, byId, complain, count, el, once, time, toast } from "./ui.js";

const { course: courseId, lesson: lessonId } = byId("lesson").dataset;
const place = `/courses/${courseId}`;
let lesson;
let isEnrolled = false;

/** Shows a question with boxes, since several choices may be right. */
function questionOf({ text, choices }, n) {
  return el("fieldset", {}, el("legend", { text: `${n + 1}. ${text}` }),
    ...choices.map((choice, i) => el("label", { class: "check" }, el("input", { type: "checkbox", name: `q${n}`, value: i }), choice)),
    el("span", { class: "outcome" }));
}

const chosen = () => lesson.quiz.map((_, n) => [...document.querySelectorAll(`input[name=q${n}]:checked`)].map((box) => Number(box.value)));

function showState(progress) {
  byId("state").replaceChildren(...(progress?.completed_at ? ["Done ", time(progress.completed_at)] : []));
  byId("done").textContent = lesson.quiz.length ? "Check and finish" : "Done";
  byId("done").hidden = !isEnrolled || (Boolean(progress?.completed_at) && !lesson.quiz.length);
}

function showGrade({ right, is_passed, n_right, n_questions }) {
  document.querySelectorAll("#questions .outcome").forEach((box, n) => {
    box.textContent = right[n] ? "Right" : "Not right";
    box.className = `outcome ${right[n] ? "right" : "wrong"}`;
  });
  byId("result").textContent = `${n_right} of ${count(n_questions, "answer")} right. ${is_passed ? "The quiz is passed." : "Read the lesson again, and try once more."}`;
}

async function enrol() {
  await post("/enrolments", { course_id: courseId });
  isEnrolled = true;
  const isHere = document.activeElement === byId("take");
  byId("take").hidden = true;
  showState(lesson.progress);
  if (isHere) document.querySelector("#done:not([hidden]), #neighbours a").focus();
}

async function finish() {
  if (!isEnrolled) throw new Error("Take this course first.");
  const body = { completed: true };
  if (lesson.quiz.length) body.answers = chosen();
  const graded = await put(`/progress/${lessonId}`, body);
  if (graded.right) showGrade(graded);
  showState(graded);
  if (graded.completed_at) toast("This lesson is done.");
}

function showNeighbours(lessons) {
  const here = lessons.findIndex(({ id }) => id === lessonId);
  const link = (other, title) => (other ? el("a", { class: "button", href: `${coursePath(courseId)}/lessons/${other.id}`, text: `${title}: ${other.title}` }) : "");
  byId("neighbours").replaceChildren(link(lessons[here - 1], "Before"), link(lessons[here + 1], "Next"),
    lessons[here + 1] ? "" : el("a", { class: "button", href: coursePath(courseId), text: "Back to the course" }));
}

async function load() {
  const [course, lessons, shown, enrolments] = await Promise.all([
    get(place), get(`${place}/lessons`), get(`${place}/lessons/${lessonId}`), get(`/enrolments${query({ course_id: courseId })}`)]);
  lesson = shown;
  isEnrolled = enrolments.items.length > 0;
  document.title = `${lesson.title} · Riskscan`;
  byId("back").textContent = course.title;
  byId("title").textContent = lesson.title;
  byId("about").textContent = `${lesson.minutes} min`;
  showLesson(byId("text"), lesson.html);
  byId("text").hidden = lesson.html === "";
  byId("questions").replaceChildren(...lesson.quiz.map(questionOf));
  byId("quiz").hidden = lesson.quiz.length === 0;
  byId("take").hidden = isEnrolled || course.status !== "active";
  byId("ending").hidden = false;
  showState(lesson.progress);
  showNeighbours(lessons.items);
}

byId("take").addEventListener("click", once(attempt(enrol)));
byId("done").addEventListener("click", attempt(finish));
byId("quiz").addEventListener("submit", attempt(finish));
load().catch((error) => {
  byId("title").textContent = error.status === 404 ? "No such lesson" : "This lesson cannot be shown";
  complain(error);
});
