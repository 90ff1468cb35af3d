// What a reviewer judged in the queue: an answered card leaves the list, and "u" or Undo brings it back.
import { put, remove } from "./api.js";
import { areKeysOn, byId, complain, toast } from "./ui.js";

const judged = []; // paths of the answers, newest last
const sending = new Set();

/** Stores an answer and goes on to the next card; `load` is called when none is left. */
export async function settle(card, { path, body, words }, load) {
  if (sending.has(path)) return;
  sending.add(path);
  try {
    await put(path, body);
    judged.push(path);
    byId("undo").disabled = false;
    toast(`${words} ${areKeysOn() ? "u undoes it." : ""}`);
    const following = card.nextElementSibling || card.previousElementSibling;
    const isHere = card.contains(document.activeElement); // the answer may be late
    card.remove();
    if (isHere) following?.focus();
    if (!byId("queue").children.length) await load();
  } catch (error) { complain(error); } finally { sending.delete(path); }
}

/** Takes back the last answer and goes to its card. */
export async function undo(load) {
  const path = judged.pop();
  if (!path) { toast("Nothing to undo."); return; }
  try {
    await remove(path);
    await load(path);
  } catch (error) { judged.push(path); complain(error); }
  byId("undo").disabled = judged.length === 0;
}
