// In the review: the risks that findings support, and the dialog that makes a finding a risk.
import { getAll, post } from "./api.js";
import { byId, complain, el, once, refuse, toast } from "./ui.js";
import { verdictOf } from "./review-state.js";

/** Returns a function that gives the element about an entry's risks, of which `items` lists those of the scan. */
export function risksOf(review, items, { canJudge }) {
  const byNumber = new Map();
  const add = ({ n, risk_id, title }) => byNumber.set(n, [...(byNumber.get(n) || []), { id: risk_id, title }]);
  items.forEach(add);
  const dialog = listen(review, add);
  review.addEventListener("change", ({ detail: entry }) => warnOfRisks(verdictOf(entry), byNumber.get(entry.id) || []));
  return (entry) => {
    if (entry.kind !== "finding") return null;
    const links = (byNumber.get(entry.id) || []).map(({ id, title }) => el("li", {}, el("a", { href: `/risks?risk=${id}`, text: title })));
    const hint = hintAgainst(verdictOf(entry), canJudge);
    return el("div", { class: "risk-of" }, links.length ? el("ul", { "aria-label": "Risks" }, ...links) : null,
      el("button", { class: "button small", type: "button", name: "risk", text: "Make it a risk", disabled: hint !== null, "aria-describedby": hint && "risk-hint", onclick: () => dialog(entry).catch(complain) }),
      hint && el("p", { class: "sub", id: "risk-hint", text: hint }));
  };
}

/** Says which risks a rejected finding goes on supporting: a verdict changes no risk. */
function warnOfRisks(verdict, risks) {
  if (verdict !== "rejected" || !risks.length) return;
  toast(`Rejected, but it still supports ${risks.map(({ title }) => `“${title}”`).join(", ")}. Open the risk to remove it there.`, { bad: true });
}

/** Returns why a finding with the visitor's verdict becomes no risk; null if it may. */
function hintAgainst(verdict, canJudge) {
  if (["confirmed", "relabelled"].includes(verdict)) return null;
  if (!canJudge) return "Only a confirmed finding becomes a risk, and you cannot judge those of this scan.";
  return verdict === "rejected" ? "A rejected finding supports no risk. Confirm or relabel it first." : "Confirm or relabel it first: only a confirmed finding becomes a risk.";
}

function listen(review, add) {
  let chosen = null;
  byId("risk-cancel").addEventListener("click", () => byId("risk-dialog").close());
  byId("risk-new").addEventListener("submit", once(async () => {
    const entry = chosen; // another one may be chosen before the answer
    const body = { title: byId("risk-title").value.trim(), likelihood: Number(byId("risk-likelihood").value), impact: Number(byId("risk-impact").value),
      category: entry.category && review.taxonomy.categories.some(({ key }) => key === entry.category) ? entry.category : null,
      team_id: byId("risk-team").value || null, due_on: byId("risk-due").value || null, finding: { scan_id: review.scan.scan_id, n: entry.id } };
    try {
      const risk = await post("/risks", body);
      add({ n: entry.id, risk_id: risk.id, title: risk.title });
      byId("risk-dialog").close();
      toast("The risk is in the register.");
      if (review.selected === entry) review.select(entry);
    } catch (error) { refuse(byId("risk-fault"), error); }
  }));
  return async (entry) => {
    chosen = entry;
    byId("risk-fault").hidden = true;
    byId("risk-new").reset();
    byId("risk-title").value = entry.risk;
    byId("risk-quote").textContent = entry.context;
    if (byId("risk-team").options.length === 1) {
      const teams = await getAll("/teams");
      byId("risk-team").append(...teams.map(({ id, name }) => el("option", { value: id, text: name })));
    }
    byId("risk-dialog").showModal();
  };
}
