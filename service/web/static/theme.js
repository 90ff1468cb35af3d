// Applies the chosen appearance before the page is drawn, and stores a new choice.
"use strict";
(() => {
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const apply = (theme) => { document.documentElement.dataset.theme = theme || "auto"; };
  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("input[name=theme]")) {
      input.checked = input.value === (stored() || "auto");
      input.addEventListener("change", () => {
        apply(input.value);
        try { localStorage.setItem("theme", input.value); } catch { /* private window: this page only */ }
      });
    }
    for (const menu of document.querySelectorAll("details.menu")) {
      document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
      menu.addEventListener("focusout", (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false; });
      menu.addEventListener("keydown", (event) => {
        if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); }
      });
    }
  });
})();
