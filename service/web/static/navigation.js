// The top bar: pages that do not fit beside each other move into its menu More.
const nav = document.querySelector(".pages");
const tabs = nav.querySelector(".tabs");
const more = nav.querySelector(".menu");
const moved = more.querySelector("ul");
const items = [...tabs.children];

// The list wraps, and its height shows one line: an item below the first one is cut off.
const isCutOff = (item) => item.offsetTop > items[0].offsetTop;

function fit() {
  const focused = document.activeElement;
  tabs.append(...items);
  more.hidden = true;
  if (isCutOff(items.at(-1))) {
    more.hidden = false;
    while (tabs.children.length > 1 && isCutOff(tabs.lastElementChild)) moved.prepend(tabs.lastElementChild);
  }
  if (more.hidden) more.open = false;
  const summary = more.querySelector("summary");
  if (moved.querySelector("[aria-current]")) summary.setAttribute("aria-current", "true");
  else summary.removeAttribute("aria-current");
  if (nav.contains(focused)) (moved.contains(focused) && !more.open ? summary : focused).focus();
}

new ResizeObserver(fit).observe(nav);
