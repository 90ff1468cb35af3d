// The files that the visitor chooses or drops, and the list of their uploads.
import { byId, el } from "./ui.js";

/** Calls `add` with the files chosen in `input`, and at once with those chosen before this script ran. */
export function listenToChosen(input, add) {
  const addChosen = () => {
    const files = [...input.files];
    input.value = "";
    add(files);
  };
  input.addEventListener("change", addChosen);
  if (input.files.length) addChosen();
}

/** Calls `add` with the files dropped anywhere on the page; `target` has the class "over" while they hover. */
export function listenToDropped(add, target = null) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      target?.classList.toggle("over", kind === "dragover");
      if (kind === "drop") add([...event.dataTransfer.files]);
    });
  }
}

/** A row of the list of uploads: its name, its progress, and then its outcome. `state` is shown until something is sent. */
export class UploadRow {
  constructor(name, state = "Sending…") {
    this.bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${name}` });
    this.state = el("span", { class: "sub nowrap", text: state });
    this.row = el("li", {}, el("span", { class: "file", text: name }), this.bar, this.state);
    byId("uploads").prepend(this.row);
  }

  /** Shows the share that is sent, 0 to 1, and `afterwards` while the service works on all of it. */
  showSent(share, afterwards) {
    this.bar.value = share;
    this.state.textContent = share < 1 ? `${Math.round(share * 100)} %` : afterwards;
    if (share === 1) this.bar.removeAttribute("value");
  }

  showOutcome(...nodes) {
    this.bar.remove();
    this.state.replaceWith(...nodes);
  }

  showError(error) {
    this.showOutcome(el("button", { class: "button small", type: "button", text: "Dismiss", onclick: () => this.row.remove() }));
    this.row.append(el("span", { class: "bad", role: "alert", text: error.message }));
  }

  remove() { this.row.remove(); }
}
