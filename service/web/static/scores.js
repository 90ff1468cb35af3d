// The dialog that shows the scores of a sentence, and the words that carry them.
import { get, query } from "./api.js";
import { scoreBar } from "./svg.js";
import { byId, complain, el, percent } from "./ui.js";

const N_SHOWN = 6;
const N_NAMED = 3;
const LEAST_EFFECT = 0.02;

/** Returns the class of a word by its effect on the score: up1 to up3, down1 to down3, or none. */
function effectClass(effect) {
  const size = Math.abs(effect);
  if (size < LEAST_EFFECT) return null;
  return `${effect > 0 ? "up" : "down"}${size < 0.1 ? 1 : size < 0.3 ? 2 : 3}`;
}

/** Shows the sentence with each word shaded by its effect. */
function drawWords(context, words) {
  const points = Array.from(context);
  const nodes = [];
  let at = 0;
  for (const { start, end, effect } of words) {
    nodes.push(points.slice(at, start).join(""));
    const shade = effectClass(effect);
    const text = points.slice(start, end).join("");
    nodes.push(shade ? el("span", { class: `effect ${shade}`, text }) : text);
    at = end;
  }
  byId("scores-quote").replaceChildren(...nodes, points.slice(at).join(""));
}

function wordsInText(title, { score, words }) {
  const strongest = [...words].filter(({ effect }) => effect >= LEAST_EFFECT).sort((a, b) => b.effect - a.effect).slice(0, N_NAMED);
  if (!strongest.length) return `No single word carries the score for ${title}.`;
  const parts = strongest.map(({ text, effect }) => `${percent(Math.max(0, score - effect))} without \u201c${text}\u201d`);
  return `${title}: ${percent(score)} as it stands, ${parts.join(", ")}.`;
}

/** Shows what the serving model says about the sentence at `span`; explains `riskType` first, or the likeliest type. */
export async function showScores(review, document_, { start, end, riskType }) {
  const { taxonomy, scan } = review;
  const path = `/documents/${document_.id}`;
  const answer = await get(`${path}/scores${query({ start, end, sensitivity: scan.sensitivity })}`);
  const sentence = answer.sentences.reduce((a, b) => (b.risk_score > a.risk_score ? b : a));
  const ranked = [...sentence.scores].sort((a, b) => b.score - a.score);
  const rows = ranked.slice(0, N_SHOWN);
  if (riskType && !rows.some((row) => row.risk_type === riskType)) rows.push(...ranked.filter((row) => row.risk_type === riskType));
  let explained = rows.find((row) => row.risk_type === riskType) || rows[0];

  const explain = async () => {
    const shown = explained;
    for (const input of byId("scores-rows").querySelectorAll("input")) input.checked = input.value === shown.risk_type;
    byId("scores-words").textContent = "Reading the sentence without each of its words\u2026";
    try {
      const words = await get(`${path}/words${query({ start: sentence.start, end: sentence.end, risk_type: shown.risk_type })}`);
      if (explained !== shown) return;
      drawWords(sentence.context, words.words);
      byId("scores-words").textContent = wordsInText(taxonomy.typeOf(shown.risk_type).title, words);
    } catch (error) {
      if (explained === shown) byId("scores-words").textContent = error.message;
    }
  };
  const row = (score) => el("tr", { class: score.is_reported ? "is-reported" : null },
    el("th", { scope: "row" }, el("label", { class: "check" }, el("input", { type: "radio", name: "explained", value: score.risk_type, onchange: () => { explained = score; explain(); } }),
      el("span", { text: taxonomy.typeOf(score.risk_type).title }))),
    el("td", {}, scoreBar(score.score, score.threshold)), el("td", { class: "num", text: percent(score.score) }), el("td", { class: "num", text: percent(score.threshold) }));

  const isRisk = sentence.risk_score >= answer.risk_threshold;
  const chosen = answer.sentences.length > 1 ? `The likeliest of the ${answer.sentences.length} sentences selected. ` : "";
  byId("scores-quote").textContent = sentence.context;
  byId("scores-about").textContent = `${chosen}The sentence states a risk with a probability of ${percent(sentence.risk_score)}; ${isRisk ? "it is" : "it would be"} reported from ${percent(answer.risk_threshold)} on.`;
  byId("scores-rows").replaceChildren(...rows.map(row));
  byId("scores-model").textContent = `Choose a risk type to see the words that carry its score. By ${answer.model}, the model that serves now${answer.model === `${scan.model_name}/${scan.model_version}` ? "" : "; the scan used another one"}.`;
  byId("scores").showModal();
  explain().catch(complain);
}
