// Calls the public API with the browser's cookie, and the page's CSRF token for changes.
const BASE = "/api/v1";
const LOGGED_OUT = "You are logged out. Log in in another tab, then do this again.";
const meta = (name) => document.querySelector(`meta[name=${name}]`);

/** An error response: `message` names the remedy, `status`, `code` and `faults` are the problem document's. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail || `The service answered ${status}.`);
    this.status = status;
    this.code = problem?.code;
    this.faults = problem?.errors || [];
  }
}

function goToLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Takes the CSRF token of a newer log-in of the same account, from another tab; returns whether there is one. */
async function renewToken() {
  const page = await fetch("/", { headers: { Accept: "text/html" } }).then((answer) => answer.text(), () => "");
  const fresh = (name) => page.match(`<meta name="${name}" content="([^"]+)"`)?.[1];
  if (fresh("account") !== meta("account").content || fresh("csrf-token") === meta("csrf-token").content) return false;
  meta("csrf-token").content = fresh("csrf-token");
  return true;
}

/** Runs `send`, which makes a change and returns an object with its status; runs it again where only the page's token is too old. */
async function change(send) {
  const answer = await send();
  return answer.status === 403 && (await renewToken()) ? send() : answer;
}

/** Returns the error of a change. A logged-out visitor logs in in another tab, since a redirect would lose what is typed. */
const refusal = (status, problem) => new ApiError(status, status === 401 ? { ...problem, detail: LOGGED_OUT } : problem);

async function request(method, path, body, { credentials = "same-origin", headers = {} } = {}) {
  const options = { method, credentials, headers: { Accept: "application/json", ...headers } };
  if (method !== "GET" && credentials !== "omit") options.headers["X-CSRF-Token"] = meta("csrf-token").content;
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  try {
    return await fetch(BASE + path, options);
  } catch {
    throw new ApiError(0, { detail: "The service cannot be reached. Check the connection and try again." });
  }
}

/** Calls `path` below /api/v1 and returns the JSON of its answer, or null if it has none. `credentials`: as for fetch; `headers`: further ones. */
export async function call(method, path, body, options = {}) {
  const isOwnChange = method !== "GET" && options.credentials !== "omit";
  const send = () => request(method, path, body, options);
  const answer = await (isOwnChange ? change(send) : send());
  if (answer.status === 401 && !isOwnChange) goToLogin();
  const text = await answer.text();
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { /* a proxy's own page */ }
  if (!answer.ok) throw isOwnChange ? refusal(answer.status, content) : new ApiError(answer.status, content);
  return content;
}

export const get = (path) => call("GET", path);
export const put = (path, body) => call("PUT", path, body);
export const post = (path, body) => call("POST", path, body);
/** Changes an object unless somebody else did since `version`. */
export const patch = (path, version, body) => call("PATCH", path, body, { headers: { "If-Match": `"${version}"` } });
export const remove = (path) => call("DELETE", path);

/** Returns the query string of the entries that have a value. */
export function query(entries) {
  const kept = Object.entries(entries).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}

/** Returns the items of all pages of a list, or of those after the position `from` of a page that is loaded. */
export async function getAll(path, { position = "cursor", perPage = 100, from = null, filters = {} } = {}) {
  const items = [];
  let next = from;
  do {
    const page = await get(path + query({ per_page: perPage, ...filters, [position]: next }));
    items.push(...page.items);
    next = page[`next_${position}`];
  } while (next !== null);
  return items;
}

function sendForm(path, form, onProgress) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open("POST", BASE + path);
    sent.setRequestHeader("Accept", "application/json");
    sent.setRequestHeader("X-CSRF-Token", meta("csrf-token").content);
    sent.responseType = "json";
    sent.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); });
    sent.upload.addEventListener("load", () => onProgress(1));
    sent.addEventListener("error", () => reject(new ApiError(0, { detail: "The connection broke during the upload. Try again." })));
    sent.addEventListener("load", () => resolve(sent));
    sent.send(form);
  });
}

/** Sends a form to `path`, reporting the sent share (0 to 1), and returns the JSON of the answer. */
export async function upload(path, form, onProgress) {
  const { status, response } = await change(() => sendForm(path, form, onProgress));
  if (status >= 300) throw refusal(status, response);
  return response;
}
