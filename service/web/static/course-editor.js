// The editor of a course: its fields and topics, the order of its lessons, and its files.
import { get, patch, put, remove, upload } from "./api.js";
import { closeLesson, openLesson } from "./lesson-editor.js";
import { loadTaxonomy } from "./taxonomy.js";
import { attempt, byId, bytes, complain, count, el, once, refuse, toast } from "./ui.js";
import { Draft, afterRefusal } from "./unsaved.js";

const id = byId("editor").dataset.course;
const place = `/courses/${id}`;
const FIELDS = ["code", "title", "description", "status"];
const KINDS = ["categories", "risk_types"];
const draft = new Draft(byId("course-form"), { read: readCourse, fill: fillCourse });
let course;
let lessons = [];

const box = (kind, { key, title }) => el("label", { class: "check" }, el("input", { type: "checkbox", name: kind, value: key }), title);

function showTopics({ categories }) {
  byId("topics").replaceChildren(...categories.map((category) => el("div", {}, box("categories", category), el("div", { class: "types" }, ...category.risk_types.map((type) => box("risk_types", type))))));
}

const boxes = (kind) => [...document.querySelectorAll(`#topics input[name=${kind}]`)];

function readCourse() {
  const fields = FIELDS.map((name) => [name, byId(name).value.trim()]);
  const topics = KINDS.map((kind) => [kind, boxes(kind).filter(({ checked }) => checked).map(({ value }) => value)]);
  return Object.fromEntries([...fields, ...topics]);
}

function fillCourse(values) {
  for (const name of FIELDS) if (name in values) byId(name).value = values[name];
  for (const kind of KINDS) if (kind in values) for (const one of boxes(kind)) one.checked = values[kind].includes(one.value);
}

/** Shows a newer version of the course, but leaves alone what the visitor changed. */
function takeOver(newer) {
  course = newer;
  draft.update(newer);
}

async function saveCourse() {
  byId("fault").hidden = true;
  const body = readCourse();
  try {
    course = await patch(place, course.version, body);
    draft.store(body, course);
    toast("The course is saved.");
  } catch (error) {
    refuse(byId("fault"), await afterRefusal(error, async () => takeOver(await get(place))));
  }
}

async function move(lesson, step) {
  const ids = lessons.map((one) => one.id);
  const from = ids.indexOf(lesson.id);
  ids.splice(from + step, 0, ...ids.splice(from, 1));
  await put(`${place}/lessons/order`, { lesson_ids: ids });
  await load();
  document.querySelector(`[data-lesson="${lesson.id}"] [data-step="${step}"]:not(:disabled), [data-lesson="${lesson.id}"] a, [data-lesson="${lesson.id}"] button:not(:disabled)`)?.focus();
}

async function drop(lesson) {
  if (!confirm(`Delete the lesson ${lesson.title}, and the learners' progress in it?`)) return;
  await remove(`${place}/lessons/${lesson.id}`);
  closeLesson(lesson.id);
  await load();
  byId("add-lesson").focus();
}

function lessonItem(lesson, n) {
  const act = (title, work, more = {}) => el("button", { class: "button small quiet", type: "button", text: title, "aria-label": `${title}: ${lesson.title}`, onclick: attempt(work), ...more });
  const quiz = lesson.n_questions ? `, ${count(lesson.n_questions, "question")}` : "";
  return el("li", { dataset: { lesson: lesson.id } }, el("span", { class: "grow", text: `${n + 1}. ${lesson.title}` }), el("span", { class: "sub", text: `${lesson.minutes} min${quiz}` }),
    act("Up", () => move(lesson, -1), { disabled: n === 0, "data-step": -1 }), act("Down", () => move(lesson, 1), { disabled: n === lessons.length - 1, "data-step": 1 }),
    act("Edit", () => openLesson(place, lesson, load)), act("Delete", () => drop(lesson), { class: "button small quiet danger" }));
}

async function dropFile(file) {
  if (!confirm(`Delete the file ${file.name}? Lessons that show it lose it.`)) return;
  await remove(`${place}/files/${file.id}`);
  await load();
}

function fileItem(file) {
  return el("li", {}, el("a", { class: "grow", href: `/api/v1${place}/files/${file.id}/content`, text: file.name }), el("span", { class: "sub", text: bytes(file.size_bytes) }),
    el("button", { class: "button small quiet danger", type: "button", text: "Delete", "aria-label": `Delete: ${file.name}`, onclick: attempt(() => dropFile(file)) }));
}

function fill(list, empty, items, item) {
  byId(list).replaceChildren(...items.map(item));
  byId(list).hidden = items.length === 0;
  byId(empty).hidden = items.length > 0;
}

/** Loads the lessons and files, and the course, whose version their changes count up. */
async function load() {
  const [shown, listed, files] = await Promise.all([get(place), get(`${place}/lessons`), get(`${place}/files`)]);
  if (!draft.conflictsWith(shown)) takeOver(shown); // else the old version stays, so that Save is refused
  lessons = listed.items;
  byId("back").textContent = shown.title;
  fill("lessons", "no-lessons", lessons, lessonItem);
  fill("files", "no-files", files.items, fileItem);
}

async function addFile() {
  const form = new FormData();
  form.append("file", byId("file").files[0]);
  byId("file").value = "";
  await upload(`${place}/files`, form, () => {});
  await load();
}

byId("course-form").addEventListener("submit", once(saveCourse));
byId("delete-course").addEventListener("click", attempt(async () => {
  if (!confirm(`Delete the course ${course.title} with its lessons, enrolments and progress? To keep the record of who completed it, archive it.`)) return;
  await remove(place);
  for (const form of ["course-form", "lesson-form"]) byId(form).hidden = true; // so that nobody is asked about their texts
  location.assign("/courses");
}));
byId("add-lesson").addEventListener("click", () => openLesson(place, null, load));
byId("file").addEventListener("change", attempt(addFile));
document.title = `Edit · Riskscan`;
try {
  const taxonomy = await loadTaxonomy();
  course = await get(place);
  showTopics(taxonomy);
  draft.show(course);
  document.title = `Edit ${course.title} · Riskscan`;
  await load();
} catch (error) { complain(error); }
