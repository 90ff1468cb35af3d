// Shared by all pages: elements, messages, and the wording of numbers and dates.

/** Makes an element. `attributes` may hold class, text, dataset, on<event> and any attribute. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key === "class") element.className = value;
    else if (key === "dataset") Object.assign(element.dataset, value);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Shows a short message, which screen readers speak. */
export function toast(message, { bad = false } = {}) {
  const box = el("div", { class: bad ? "toast bad" : "toast", text: message });
  const stack = byId("toasts");
  stack.append(box);
  while (stack.children.length > 3) stack.firstChild.remove();
  setTimeout(() => box.remove(), bad ? 8000 : 3500);
}

export const complain = (error) => toast(error.message, { bad: true });

/** Returns a handler that passes its argument to `work` and shows the error; of an event it prevents the default. */
export const attempt = (work) => async (argument) => {
  argument?.preventDefault?.();
  try { await work(argument); } catch (error) { complain(error); }
};

/** Returns a handler that ignores events while `handler` works on an earlier one; the button shows so, and keeps its focus. */
export function once(handler) {
  let isRunning = false;
  return async (event) => {
    event.preventDefault();
    if (isRunning) return;
    const button = event.submitter ?? event.currentTarget;
    isRunning = true;
    button.setAttribute("aria-disabled", "true");
    try { await handler(event); } finally {
      isRunning = false;
      button.removeAttribute("aria-disabled");
    }
  };
}

/** Returns whether single-letter shortcuts are on; the list of keys on the review page switches them. */
export function areKeysOn() {
  try { return localStorage.getItem("keys") !== "off"; } catch { return true; }
}

/** Runs the function that `keys` has for a pressed key: a shortcut, not a letter of a text. */
export function runKey(event, keys) {
  if (!areKeysOn() || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

/** Returns what an error says, and the faults that it does not name. */
export const explain = ({ message, faults = [] }) =>
  [message, ...faults.filter((fault) => !message.includes(fault.message.replace(/\.$/, ""))).map((fault) => `${fault.field}: ${fault.message}`)].join(" ");

/** Shows in `box` what is wrong, where it stays until the next attempt. */
export function refuse(box, error) {
  box.textContent = explain(error);
  box.hidden = false;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const TODAY = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** Returns a <time>, which leaves out the date of today. */
export function time(iso) {
  const date = new Date(iso);
  const isToday = date.toDateString() === new Date().toDateString();
  return el("time", { datetime: iso, title: DATE.format(date), text: isToday ? `${TODAY.format(date)} today` : DATE.format(date) });
}

/** Numbers the rows of the same name and the same shown time, such as ", 2 of 2"; `rows` are newest first. */
export function numberAlike(rows) {
  const groups = new Map();
  for (const row of rows) {
    row.querySelector(".alike")?.remove();
    const key = `${row.querySelector(".title, .pick-name").textContent}\n${row.querySelector("time").textContent}`;
    groups.set(key, [...(groups.get(key) || []), row]);
  }
  for (const group of groups.values()) {
    if (group.length > 1) group.forEach((row, i) => row.querySelector("time").after(el("span", { class: "alike", text: `, ${group.length - i} of ${group.length}` })));
  }
}

export const percent = (score) => (score === null || score === undefined ? "–" : `${Math.round(score * 100)} %`);
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** Returns a badge "Not all read" whose tooltip has a scan's warnings; null if it has none. */
export const unreadMark = (warnings) => (warnings.length ? el("span", { class: "badge watch", title: warnings.map((warning) => warning.message).join("\n"), text: "Not all read" }) : null);

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  if (n < 1024 ** 2) return `${Math.round(n / 1024)} kB`;
  return `${(n / 1024 ** 2).toFixed(1)} MB`;
}

/** Calls `run` once the calls have paused for `ms`. */
export function debounced(run, ms = 250) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(run, ms); };
}

/**
 * Returns a function that awaits the answer `loading`, and gives null if it was called again meanwhile: the newer answer counts.
 * While a list loads from its start, its `button` "Show more" is hidden: it would continue the old list.
 */
export function newest(button = null) {
  let nCalls = 0;
  return async (loading, { more = false } = {}) => {
    const mine = ++nCalls;
    if (button && !more) button.hidden = true;
    try {
      const answer = await loading;
      return mine === nCalls ? answer : null;
    } catch (error) {
      if (mine === nCalls) throw error;
      return null;
    }
  };
}

/** Shows a text in `box` that people copy once, below a paragraph about it. */
export function showSecret(box, about, secret) {
  const copied = () => toast("Copied.");
  const refused = () => toast("Copying is not allowed here; select the text instead.", { bad: true });
  const write = () => (navigator.clipboard ? navigator.clipboard.writeText(secret).then(copied, refused) : refused()); // none over plain HTTP
  const copy = el("button", { class: "button small", type: "button", text: "Copy", onclick: write });
  box.hidden = false;
  box.replaceChildren(about, el("p", { class: "secret" }, el("code", { text: secret }), " ", copy));
  box.scrollIntoView({ block: "nearest" });
}
