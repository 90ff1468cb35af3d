// The dashboard: findings over time, verdicts and estimated recall.
import { get, query } from "./api.js";
import { byId, complain, count, el, newest, percent } from "./ui.js";
import { svgElement } from "./svg.js";
import { loadTaxonomy } from "./taxonomy.js";

const [HEIGHT, LEFT, BOTTOM, TOP] = [240, 40, 24, 10];
const N_SHOWN = 6;
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const newestSummary = newest();
let taxonomy;
let counted = null;

function lastDays(n) {
  const today = Date.now();
  return Array.from({ length: n }, (_, i) => new Date(today - (n - 1 - i) * 86_400_000).toISOString().slice(0, 10));
}

const titleOf = (category) => taxonomy.categories.find(({ key }) => key === category)?.title || (category === "rest" ? "Others" : category || "Other");

/** Sums the counts by category, most frequent first. */
function totals(rows) {
  const sums = new Map();
  for (const { category, n } of rows) sums.set(category, (sums.get(category) || 0) + n);
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function drawChart(rows, days) {
  const width = Math.max(byId("chart").clientWidth, 240);
  const right = width - 16;
  const shown = totals(rows).slice(0, N_SHOWN).map(([category]) => category);
  const byDay = new Map(days.map((day) => [day, new Map()]));
  for (const { day, category, n } of rows) {
    const counts = byDay.get(day);
    const key = shown.includes(category) ? category : "rest";
    if (counts) counts.set(key, (counts.get(key) || 0) + n);
  }
  const sums = [...byDay.values()].map((counts) => [...counts.values()].reduce((a, b) => a + b, 0));
  const top = niceTop(Math.max(...sums, 1));
  const svg = svgElement("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `Findings by day, at most ${Math.max(...sums)} on one day; the table below has the numbers by category.` });
  const y = (n) => (HEIGHT - BOTTOM - TOP) * (1 - n / top) + TOP;
  for (const n of [0, top / 2, top]) {
    svg.append(svgElement("line", { x1: LEFT, x2: width, y1: y(n), y2: y(n), class: "grid" }), svgElement("text", { x: LEFT - 8, y: y(n) + 4, class: "axis", "text-anchor": "end" }, n.toLocaleString()));
  }
  const step = (right - LEFT) / days.length;
  const labelled = Math.ceil((days.length * 64) / (right - LEFT));
  [...byDay].forEach(([day, counts], i) => {
    const x = LEFT + i * step;
    let base = 0;
    for (const category of [...shown, "rest"]) {
      const n = counts.get(category) || 0;
      if (!n) continue;
      const bar = svgElement("rect", { x: x + step * 0.14, width: Math.min(step * 0.72, 46), y: y(base + n), height: y(base) - y(base + n), class: `bar ${category === "rest" ? "rest" : taxonomy.colourOf(category)}` });
      bar.append(svgElement("title", {}, `${DAY.format(new Date(day))}: ${n} ${titleOf(category)}`));
      svg.append(bar);
      base += n;
    }
    if ((days.length - 1 - i) % labelled === 0) svg.append(svgElement("text", { x: x + Math.min(step * 0.5, 23 + step * 0.14), y: HEIGHT - 4, class: "axis", "text-anchor": "middle" }, DAY.format(new Date(day))));
  });
  byId("chart").replaceChildren(svg);
  const hasRest = totals(rows).length > N_SHOWN;
  byId("legend").replaceChildren(...[...shown, ...(hasRest ? ["rest"] : [])].map((category) => el("li", {}, el("span", { class: `dot ${category === "rest" ? "rest" : taxonomy.colourOf(category)}` }), titleOf(category))));
}

function niceTop(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return Math.max(2, [1, 2, 4, 5, 10].map((factor) => factor * power).find((value) => value >= n));
}

function figure(title, value, note) {
  return el("div", { class: "card figure" }, el("span", { class: "sub", text: title }), el("strong", { text: value }), el("span", { class: "sub", text: note }));
}

async function load() {
  const n = Number(byId("days").value);
  try {
    taxonomy ??= await loadTaxonomy();
    const summary = await newestSummary(get(`/reviews/summary${query({ days: n, scope: byId("scope")?.value })}`));
    if (!summary) return;
    const all = summary.n_open + summary.n_judged;
    byId("figures").replaceChildren(
      figure("Findings", all.toLocaleString(), `in ${n} days`),
      figure("Open", summary.n_open.toLocaleString(), "without a verdict"),
      figure("Judged", summary.n_judged.toLocaleString(), all ? `${percent(summary.n_judged / all)} of all` : "nothing found yet"));
    counted = summary.days;
    drawChart(counted, lastDays(n));
    document.querySelector("#categories tbody").replaceChildren(...totals(summary.days).map(([category, sum]) => el("tr", {},
      el("th", { scope: "row" }, el("span", { class: `dot ${taxonomy.colourOf(category)}` }), ` ${titleOf(category)}`),
      el("td", { class: "num", text: sum.toLocaleString() }), el("td", { class: "num", text: percent(sum / all) }))));
  } catch (error) { complain(error); }
}

/** Describes the counts behind the estimate, or what is missing for one. */
function aboutRecall(recall) {
  const scope = `In ${count(recall.n_scans, "scan")} by ${recall.model} whose findings are all settled`;
  const left = recall.n_unsettled ? ` ${count(recall.n_unsettled, "scan")} with unsettled findings ${recall.n_unsettled === 1 ? "is" : "are"} left out.` : "";
  if (!recall.n_scans) return `Estimated once the findings of a scan are all judged and sentences of the random sample answered.${left}`;
  return `${scope}, ${count(recall.n_found, "sentence")} found ${recall.n_found === 1 ? "is a risk" : "are risks"}. Of the ${recall.n_unflagged.toLocaleString()} others, ${recall.n_answered.toLocaleString()} were drawn at random and judged; ${recall.n_missed.toLocaleString()} of these ${recall.n_missed === 1 ? "states a risk" : "state risks"}.${left}`;
}

async function loadRecall() {
  if (!byId("recall-estimate")) return;
  const recall = await get("/reviews/recall");
  const isKnown = recall.estimate !== null;
  byId("recall-estimate").textContent = isKnown ? percent(recall.estimate) : "Not known yet";
  byId("recall-interval").textContent = isKnown ? `of the risks are found (95 % interval: ${percent(recall.low)} to ${percent(recall.high)})` : "";
  byId("recall-about").textContent = aboutRecall(recall);
}

async function start() {
  await load();
  new ResizeObserver(() => { if (counted) drawChart(counted, lastDays(Number(byId("days").value))); }).observe(byId("chart"));
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", load);
start().catch(complain);
loadRecall().catch(complain);
