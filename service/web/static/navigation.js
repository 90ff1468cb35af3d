// The top bar: pages that do not fit beside each other move into its menu More.
const nav = document.querySelector(".pages");
const tabs = nav.querySelector(".tabs");
const more = nav.querySelector(".menu");
const summary = more.querySelector("summary");
const moved = more.querySelector("ul");
const items = [...tabs.children];

// The list wraps, and its height shows one line: an item below the first one is cut off.
const isCutOff = (item) => item.offsetTop > items[0].offsetTop;

// A menu with the current page has a bold title, which is wider, so it is marked before the next measurement.
function mark() {
  if (moved.querySelector("[aria-current]")) summary.setAttribute("aria-current", "true");
  else summary.removeAttribute("aria-current");
}

function fit() {
  const focused = document.activeElement;
  tabs.append(...items);
  mark();
  more.hidden = true; // all may fit without it
  more.hidden = !isCutOff(items.at(-1));
  while (!more.hidden && tabs.children.length > 1 && isCutOff(tabs.lastElementChild)) {
    moved.prepend(tabs.lastElementChild);
    mark();
  }
  if (more.hidden) more.open = false;
  if (nav.contains(focused)) (moved.contains(focused) && !more.open ? summary : focused).focus();
}

new ResizeObserver(fit).observe(nav);
