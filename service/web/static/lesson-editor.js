// The editor of one lesson: its Markdown with a preview, and its quiz.
import { get, patch, post } from "./api.js";
import { showLesson } from "./course-parts.js";
import { attempt, byId, el, newest, once, refuse, toast } from "./ui.js";
import { Draft, afterRefusal } from "./unsaved.js";

const FIELDS = { title: "lesson-title", minutes: "minutes", source: "source" };
const EMPTY = { title: "", minutes: 5, source: "", quiz: [] };
const draft = new Draft(byId("lesson-form"), { read: readLesson, fill: fillLesson });
const newestLesson = newest();
let place; // of the course
let lesson; // what is edited; null for a new one
let reload;

function choiceRow(text = "", isRight = false) {
  const row = el("div", { class: "choice" },
    el("input", { type: "checkbox", "aria-label": "This choice is right", checked: isRight }), el("input", { type: "text", "aria-label": "Choice", value: text, required: true, maxlength: 500 }),
    el("button", { class: "button small quiet danger", type: "button", text: "Remove", "aria-label": "Remove this choice", onclick: () => row.remove() }));
  return row;
}

function questionBox({ text = "", choices = ["", ""], answers = [] } = {}) {
  const rows = el("div", { class: "choices" }, ...choices.map((choice, i) => choiceRow(choice, answers.includes(i))));
  const question = el("div", { class: "question", role: "group", "aria-label": "Question" },
    el("input", { type: "text", "aria-label": "Question", placeholder: "Question", value: text, required: true, maxlength: 1000 }), el("p", { class: "hint", text: "Tick the right choices." }), rows,
    el("div", { class: "row" }, el("button", { class: "button small", type: "button", text: "Add a choice", onclick: () => rows.append(choiceRow()) }),
      el("button", { class: "button small quiet danger", type: "button", text: "Remove question", onclick: () => question.remove() })));
  return question;
}

function readQuiz() {
  return [...document.querySelectorAll("#questions .question")].map((box) => {
    const rows = [...box.querySelectorAll(".choice")];
    const right = rows.map((row) => row.querySelector("input[type=checkbox]").checked);
    return { text: box.querySelector("input[type=text]").value.trim(), choices: rows.map((row) => row.querySelector("input[type=text]").value.trim()), answers: right.flatMap((isRight, i) => (isRight ? [i] : [])) };
  });
}

function readLesson() {
  return { title: byId("lesson-title").value.trim(), minutes: Number(byId("minutes").value), source: byId("source").value, quiz: readQuiz() };
}

function fillLesson(values) {
  for (const [name, id] of Object.entries(FIELDS)) if (name in values) byId(id).value = values[name];
  if ("quiz" in values) byId("questions").replaceChildren(...values.quiz.map(questionBox));
}

function close() {
  byId("lesson-form").hidden = true;
  byId("add-lesson").focus();
}

/** Closes the editor if it has the lesson `id`, which is deleted. */
export function closeLesson(id) {
  if (lesson?.id === id) close();
}

/** Opens a lesson of the course at `course`, or a new one; `done` runs after it is saved. */
export async function openLesson(course, listed, done) {
  if (!draft.mayBeDiscarded()) return;
  byId("lesson-form").hidden = true; // nothing is typed into it until it has the wanted lesson
  const shown = await newestLesson(listed ? get(`${course}/lessons/${listed.id}`) : EMPTY);
  if (!shown) return; // another one is wanted by now
  place = course;
  reload = done;
  lesson = listed && shown;
  byId("lesson-heading").textContent = lesson ? "Edit lesson" : "New lesson";
  draft.show(shown);
  byId("preview").replaceChildren();
  byId("lesson-fault").hidden = true;
  byId("lesson-form").hidden = false;
  byId("lesson-heading").focus();
}

/** Returns what the first incomplete question lacks, or undefined. */
function lackIn(quiz) {
  const lacks = quiz.map(({ choices, answers }) => (choices.length < 2 ? "give at least two choices" : answers.length ? "" : "tick at least one right choice"));
  return lacks.map((lack, n) => lack && `Question ${n + 1}: ${lack}.`).find(Boolean);
}

/** Reads the lesson that somebody else changed meanwhile. */
async function takeOver() {
  lesson = await get(`${place}/lessons/${lesson.id}`);
  draft.update(lesson);
}

async function save() {
  const refusal = byId("lesson-fault");
  refusal.hidden = true;
  const body = readLesson();
  const lack = lackIn(body.quiz);
  try {
    if (lack) throw new Error(lack);
    lesson = lesson ? await patch(`${place}/lessons/${lesson.id}`, lesson.version, body) : await post(`${place}/lessons`, body);
    draft.store(body, lesson);
    byId("lesson-heading").textContent = "Edit lesson";
    toast("The lesson is saved.");
    await reload();
  } catch (error) { refuse(refusal, await afterRefusal(error, takeOver)); }
}

async function preview() {
  const { html } = await post(`${place}/lessons/preview`, { source: byId("source").value });
  showLesson(byId("preview"), html);
}

byId("lesson-form").addEventListener("submit", once(save));
byId("preview-open").addEventListener("click", attempt(preview));
byId("add-question").addEventListener("click", () => {
  byId("questions").append(questionBox());
  byId("questions").lastChild.querySelector("input").focus();
});
byId("lesson-close").addEventListener("click", () => { if (draft.mayBeDiscarded()) close(); });
