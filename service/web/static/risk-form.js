// One risk of the register: its fields, the findings that support it, notes and history.
import { get, patch, post, query, remove } from "./api.js";
import { attempt, byId, complain, el, newest, once, refuse, time, toast } from "./ui.js";
import { Draft, afterRefusal } from "./unsaved.js";

const TEXTS = ["title", "description", "mitigation", "state"];
const NUMBERS = ["likelihood", "impact"];
const MAY_BE_EMPTY = ["category", "due_on", "team_id"];
const NAMES = [...TEXTS, ...NUMBERS, ...MAY_BE_EMPTY, "owner_id"];

export class RiskForm {
  /** `changed` is called after each change of the register. */
  constructor({ taxonomy, teams, visitor, changed }) {
    this.visitor = visitor;
    this.changed = changed;
    this.risk = null;
    this.newestRisk = newest();
    this.draft = new Draft(byId("detail"), { read: readFields, fill: (values) => this.#fillAll(values) });
    byId("category").append(...taxonomy.categories.map(({ key, title }) => el("option", { value: key, text: title })));
    byId("team_id").append(...teams.map(({ id, name }) => el("option", { value: id, text: name })));
    byId("team_id").addEventListener("change", attempt(() => this.#fillOwners(byId("owner_id").value)));
    byId("risk-form").addEventListener("submit", once(() => this.#save()));
    byId("delete-risk").addEventListener("click", attempt(() => this.#delete()));
    byId("close-detail").addEventListener("click", () => { if (this.draft.mayBeDiscarded()) byId("detail").hidden = true; });
    byId("note-form").addEventListener("submit", once(attempt(() => this.#addNote())));
  }

  /** Shows the form for a new risk. */
  async create() {
    if (!this.draft.mayBeDiscarded()) return;
    this.newestRisk(null); // nothing that is on its way is shown here
    this.risk = null;
    byId("risk-form").reset();
    byId("likelihood").value = "3";
    byId("impact").value = "3";
    await this.#fillOwners(this.visitor).catch(complain);
    this.draft.show({});
    for (const list of ["notes", "history"]) byId(list).replaceChildren();
    this.#show("New risk", { mayChange: true });
    this.#goTo();
  }

  /** Shows a risk by its id, unless the visitor keeps what is unsaved. */
  async open(id) {
    if (this.draft.mayBeDiscarded()) await this.#load(id);
  }

  async #load(id) {
    const risk = await this.newestRisk(get(`/risks/${id}`));
    if (!risk) return;
    this.risk = risk;
    this.draft.show(risk);
    await this.#fillOwners(risk.owner_id);
    this.#drawFindings(risk.findings);
    await this.#loadLists();
    this.#show(risk.title, { mayChange: risk.may_change });
    this.#goTo();
  }

  #fillAll(values) {
    for (const name of NAMES) if (name in values) this.#fill(name, values[name]);
  }

  #fill(name, value) {
    const field = byId(name);
    const text = value === null ? "" : String(value);
    const isMissing = field.tagName === "SELECT" && ![...field.options].some((option) => option.value === text);
    if (isMissing) field.append(el("option", { value: text, text: { team_id: this.risk.team, owner_id: this.#owner() }[name] ?? text }));
    field.value = text;
  }

  #owner() { return this.risk.owner || "deleted account"; }

  #show(title, { mayChange }) {
    byId("fault").hidden = true;
    byId("detail-title").textContent = title;
    byId("detail").hidden = false;
    byId("about-risk").hidden = this.risk === null;
    byId("delete-risk").hidden = this.risk === null || !mayChange;
    for (const field of byId("risk-form").elements) if (!["close-detail"].includes(field.id)) field.disabled = !mayChange;
  }

  #goTo() {
    byId("detail").scrollIntoView({ block: "start" });
    byId("detail-title").focus();
  }

  /** Offers the people who may own a risk of the chosen team. */
  async #fillOwners(chosen) {
    const { items } = await get(`/risks/owners${query({ team: byId("team_id").value })}`);
    const isListed = items.some(({ id }) => id === chosen);
    const present = chosen && !isListed && this.risk?.owner_id === chosen ? [{ id: chosen, email: this.#owner() }] : [];
    byId("owner_id").replaceChildren(...[...items, ...present].map(({ id, email }) => el("option", { value: id, text: email })));
    if (isListed || present.length) byId("owner_id").value = chosen;
  }

  async #save() {
    const sent = readFields();
    try {
      const risk = await this.newestRisk(this.#store(sent));
      if (!risk) return; // another one is shown by now
      this.risk = risk;
      this.draft.store(sent, risk);
      this.#drawFindings(risk.findings);
      this.#show(risk.title, { mayChange: risk.may_change });
      await this.#fillOwners(byId("owner_id").value);
      await this.#loadLists();
    } catch (error) {
      const takeOver = async () => this.#takeOver(await get(`/risks/${this.risk.id}`));
      refuse(byId("fault"), await afterRefusal(error, takeOver));
    }
  }

  async #store(fields) {
    const risk = this.risk ? await patch(`/risks/${this.risk.id}`, this.risk.version, this.draft.changes()) : await post("/risks", fields);
    toast("Saved.");
    this.changed();
    return risk;
  }

  async #delete() {
    if (!confirm(`Delete the risk ${this.risk.title} with its notes and history?`)) return;
    await remove(`/risks/${this.risk.id}`);
    byId("detail").hidden = true;
    this.changed();
  }

  #drawFindings(findings) {
    byId("no-quotes").hidden = findings.length > 0;
    byId("quotes").replaceChildren(...findings.map((one) => {
      const newest = one.seen_in[0];
      const place = [one.document || "Pasted text", one.part, one.page && `page ${one.page}`].filter(Boolean).join(", ");
      const name = newest ? el("a", { href: `/scans/${newest.scan_id}?finding=${newest.n}`, text: place }) : place;
      const state = { true: "in the newest scan", false: "no more in the newest scan", null: "its scans are deleted" }[one.seen_in_newest];
      const doubt = { rejected: "Rejected since: it no longer shows this risk. ", disputed: "Disputed since: people judge it differently. " }[one.verdict];
      return el("li", {}, el("p", { text: one.context || "The sentence is erased." }), el("p", { class: "sub" }, `${one.category}: ${one.risk} · `, name, ` · ${state}, last seen `, time(one.last_seen_at)),
        doubt && el("p", {}, el("span", { class: "is-overdue", text: doubt }), this.risk.may_change ? el("button", { class: "link", type: "button", text: "Remove it from the risk", onclick: attempt(() => this.#removeFinding(one)) }) : null));
    }));
  }

  async #removeFinding({ scan_id, n }) {
    await remove(`/risks/${this.risk.id}/findings${query({ scan_id, n })}`);
    this.changed();
    const risk = await get(`/risks/${this.risk.id}`);
    if (!this.draft.conflictsWith(risk)) await this.#takeOver(risk);
    this.#drawFindings(risk.findings);
    await this.#loadLists();
  }

  /** Shows a newer version of the risk, but leaves alone what the visitor changed. */
  async #takeOver(risk) {
    this.risk = risk;
    this.draft.update(risk);
    await this.#fillOwners(byId("owner_id").value);
  }

  async #loadLists() {
    const path = `/risks/${this.risk.id}`;
    const [notes, history] = await Promise.all([get(`${path}/notes?per_page=100`), get(`${path}/history?per_page=100`)]);
    const by = (item) => el("span", { class: "sub" }, ` ${item.author || "deleted account"}, `, time(item.created_at));
    byId("notes").replaceChildren(...notes.items.map((note) => el("li", {}, note.text, by(note))));
    byId("history").replaceChildren(...history.items.map((item) => el("li", {}, ...changeOf(item), by(item))));
  }

  async #addNote() {
    await post(`/risks/${this.risk.id}/notes`, { text: byId("note").value.trim() });
    byId("note-form").reset();
    await this.#loadLists();
  }
}

function readFields() {
  return Object.fromEntries(NAMES.map((name) => {
    const { value } = byId(name);
    return [name, NUMBERS.includes(name) ? Number(value) : MAY_BE_EMPTY.includes(name) ? value || null : value];
  }));
}

/** Returns in words and links what a change of the history did. */
function changeOf({ field, before, after, finding }) {
  if (!finding) return [`${field}: ${before ?? "–"} → ${after ?? "–"}`];
  const name = finding.document || (finding.context === null ? "a scan" : "Pasted text");
  const link = el("a", { href: `/scans/${finding.scan_id}?finding=${finding.n}`, text: name });
  return [after ? "finding added: " : "finding removed: ", link, finding.context ? `: “${finding.context}”` : ""];
}
