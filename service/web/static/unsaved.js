// What people have begun and not stored: nothing of it is lost without a question.

const isSame = (one, other) => one === other
  || (one instanceof Object && other instanceof Object && Object.keys(one).length === Object.keys(other).length && Object.keys(one).every((key) => isSame(one[key], other[key])));
const pick = (values, isWanted) => Object.fromEntries(Object.entries(values).filter(([name]) => isWanted(name)));

/** Lets the browser ask before it leaves the page while `isUnsaved` returns true. */
export function guardLeaving(isUnsaved) {
  addEventListener("beforeunload", (event) => { if (isUnsaved()) event.preventDefault(); });
}

/** The fields of a form, and the values that they had when they were last the same as the stored object's. */
export class Draft {
  #box;
  #read;
  #fill;
  #shown = null; // until the object is loaded; read from the fields, which may write a value in their own way
  #stored = {};

  /** `read` returns the value of each field by its name; `fill` shows values in those fields that they name. Nothing in a hidden `box` is unsaved. */
  constructor(box, { read, fill }) {
    this.#box = box;
    this.#read = read;
    this.#fill = fill;
    guardLeaving(() => this.isDirty);
  }

  /** Shows the values of an object in place of what is in the form. */
  show(values) {
    this.#fill(values);
    this.#shown = this.#read();
    this.#stored = values;
  }

  /** Shows the values of a newer object in the fields that the visitor left alone. */
  update(values) {
    const changed = this.changes();
    const isNew = (name) => !(name in changed) && !isSame(values[name], this.#shown[name]);
    this.#fill(pick(values, isNew));
    this.#shown = { ...this.#read(), ...pick(values, (name) => name in changed) };
    this.#stored = values;
  }

  /** Notes that the read values `sent` are stored, as the object `values`; what was typed meanwhile stays. */
  store(sent, values) {
    this.#shown = sent;
    this.update(values);
  }

  /** Returns whether a newer object differs in a field that the visitor changed, too. */
  conflictsWith(values) {
    return Object.keys(this.changes()).some((name) => !isSame(values[name], this.#stored[name]));
  }

  /** Returns the values of the fields that the visitor changed. */
  changes() {
    if (this.#shown === null) return {};
    const present = this.#read();
    return pick(present, (name) => !isSame(present[name], this.#shown[name]));
  }

  get isDirty() { return !this.#box.hidden && Object.keys(this.changes()).length > 0; }

  /** Returns whether the form may be closed or show something else, which the visitor decides if something is unsaved. */
  mayBeDiscarded() { return !this.isDirty || confirm("Discard your changes?"); }
}

/** Returns the error to show about a save. If somebody else changed the object, `takeOver` first reads it and updates its draft. */
export async function afterRefusal(error, takeOver) {
  if (error.status !== 412) return error;
  try { await takeOver(); } catch (failure) { return failure; }
  return new Error("Somebody changed this meanwhile. Check the fields and save again.");
}
