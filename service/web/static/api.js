// Calls the public API with the browser's cookie, and the page's CSRF token for changes.
const BASE = "/api/v1";
const token = () => document.querySelector("meta[name=csrf-token]").content;

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

/** Calls `path` below /api/v1 and returns the JSON of its answer, or null if it has none. `credentials`: as for fetch; `headers`: further ones. */
export async function call(method, path, body, { credentials = "same-origin", headers = {} } = {}) {
  const options = { method, credentials, headers: { Accept: "application/json", ...headers } };
  if (method !== "GET" && credentials !== "omit") options.headers["X-CSRF-Token"] = token();
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(BASE + path, options);
  } catch {
    throw new ApiError(0, { detail: "The service cannot be reached. Check the connection and try again." });
  }
  if (answer.status === 401) goToLogin();
  const text = await answer.text();
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { /* a proxy's own page */ }
  if (!answer.ok) throw new ApiError(answer.status, content);
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

/** Sends a form to `path`, reporting the sent share (0 to 1), and returns the JSON of the answer. */
export function upload(path, form, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", BASE + path);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRF-Token", token());
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); });
    request.upload.addEventListener("load", () => onProgress(1));
    request.addEventListener("error", () => reject(new ApiError(0, { detail: "The connection broke during the upload. Try again." })));
    request.addEventListener("load", () => {
      if (request.status === 401) goToLogin();
      if (request.status < 300) resolve(request.response);
      else reject(new ApiError(request.status, request.response));
    });
    request.send(form);
  });
}
