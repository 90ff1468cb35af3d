// The dialog that finds risk types as one types.
import { byId, el } from "./ui.js";

const words = (text) => text.toLowerCase().split(/\W+/).filter(Boolean);

/** Ranks the types that match all typed words; those whose title begins with the words come first. */
function matching(types, typed) {
  const sought = words(typed);
  return types.map((type) => {
    const title = words(type.title);
    const all = [...title, ...words(type.categoryTitle), ...words(type.key)];
    if (!sought.every((word) => all.some((other) => other.startsWith(word)))) return null;
    return { type, rank: sought.length && title[0]?.startsWith(sought[0]) ? 0 : 1 };
  }).filter(Boolean).sort((a, b) => a.rank - b.rank).map(({ type }) => type);
}

/** Asks for one or more risk types; resolves with their keys, or null if the visitor cancels. */
export function pickTypes(taxonomy, { title, quote, without = null }) {
  const [dialog, input, list, chips] = ["picker", "picker-input", "picker-list", "picker-chips"].map(byId);
  const choosable = taxonomy.types.filter((type) => type.key !== without);
  const chosen = [];
  let shown = [];
  let active = 0;
  byId("picker-title").textContent = title;
  byId("picker-quote").textContent = quote;
  input.value = "";

  const draw = () => {
    shown = matching(choosable.filter((type) => !chosen.includes(type)), input.value);
    active = Math.min(active, Math.max(shown.length - 1, 0));
    list.replaceChildren(...shown.map((type, i) => el("li", { role: "option", id: `option-${i}`, "aria-selected": i === active ? "true" : "false", dataset: { i } },
      el("span", { class: `dot ${taxonomy.colourOf(type.category)}` }), el("span", { text: type.title }), el("span", { class: "sub", text: type.categoryTitle }))));
    if (!shown.length) list.append(el("li", { class: "sub none", role: "presentation", text: "No risk type matches." }));
    input.setAttribute("aria-activedescendant", shown.length ? `option-${active}` : "");
    list.children[active]?.scrollIntoView({ block: "nearest" });
    chips.replaceChildren(...chosen.map((type, i) => el("button", { class: `tag chip ${taxonomy.colourOf(type.category)}`, type: "button", "aria-label": `Remove ${type.title}`, dataset: { i } },
      type.title, el("span", { "aria-hidden": "true", text: " ×" }))));
    byId("picker-apply").disabled = !chosen.length && !(input.value && shown.length);
  };

  return new Promise((resolve) => {
    const controller = new AbortController();
    const { signal } = controller;
    let result = null;
    const apply = () => {
      if (shown[active] && (input.value || !chosen.length)) chosen.push(shown[active]);
      if (!chosen.length) return;
      result = chosen.map((type) => type.key);
      dialog.close();
    };
    const add = () => { chosen.push(shown[active]); input.value = ""; active = 0; };
    input.addEventListener("input", () => { active = 0; draw(); }, { signal });
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        active = (active + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % Math.max(shown.length, 1);
      } else if (event.key === "Enter") apply();
      else if (event.key === "Tab" && !event.shiftKey && input.value && shown[active]) add();
      else if (event.key === "Backspace" && !input.value) chosen.pop();
      else return;
      if (event.key !== "Backspace") event.preventDefault();
      if (dialog.open) draw();
    }, { signal });
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[data-i]");
      if (option) { active = Number(option.dataset.i); add(); draw(); }
    }, { signal });
    list.addEventListener("mousedown", (event) => { if (event.target.closest("[data-i]")) event.preventDefault(); }, { signal }); // keeps the focus
    chips.addEventListener("click", (event) => {
      const chip = event.target.closest("[data-i]");
      if (chip) { chosen.splice(Number(chip.dataset.i), 1); draw(); input.focus(); }
    }, { signal });
    byId("picker-apply").addEventListener("click", apply, { signal });
    byId("picker-cancel").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => { controller.abort(); resolve(result); }, { signal });
    dialog.showModal();
    draw();
    input.focus();
  });
}
