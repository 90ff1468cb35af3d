// Models: activate, roll back, shadow; what was deployed when, by whom and why; drift.
import { get, post, put, query, remove } from "./api.js";
import { byId, complain, count, el, newest, once, percent, time, toast } from "./ui.js";
import { loadDrift } from "./drift.js";
import { loadTaxonomy } from "./taxonomy.js";

const nameOf = (model) => `${model.name}/${model.version}`;
const newestDeployments = newest(byId("more"));
let before = null;
let deploy = null;

const f1 = (model, metric) => percent(model.metrics[metric]?.[0]);

function gate(model) {
  if (model.faults.length) return el("span", { class: "fault", text: model.faults[0] });
  if (!model.gate) return el("span", { class: "sub", text: "not compared" });
  const { passed, against, reasons } = model.gate;
  return el("span", { class: "sub", text: passed ? `passed against ${against}` : `rejected: ${reasons[0]}` });
}

/** Opens the dialog; `send` deploys with the dialog's fields. */
function ask({ title, about, button, send, asksShare = false, asksForce = false }) {
  deploy = send;
  byId("deploy-title").textContent = title;
  byId("deploy-about").textContent = about;
  byId("confirm").textContent = button;
  byId("share-label").hidden = !asksShare;
  byId("force-label").hidden = !asksForce;
  byId("force").checked = false;
  byId("why").value = "";
  byId("deploy-fault").textContent = "";
  byId("deploy").showModal();
}

const why = () => (byId("why").value.trim() ? { why: byId("why").value.trim() } : {});

function activation(model) {
  ask({ title: `Activate ${nameOf(model)}?`, about: "Every process loads and checks it, then scans with it. Scans in progress end with the present model.", button: "Activate",
    asksForce: !model.gate?.passed,
    send: () => post("/admin/deployments", { kind: "activate", model: nameOf(model), force: byId("force").checked, ...why() }) });
}

function shadowing(model) {
  ask({ title: `Shadow with ${nameOf(model)}?`, about: "It scores a share of the scans after their responses. Nobody sees its findings; the totals are below the table.", button: "Shadow", asksShare: true,
    send: () => put("/admin/shadow", { model: nameOf(model), share: Number(byId("share").value) / 100, ...why() }) });
}

function actions(model) {
  const act = (title, work) => el("button", { class: "button small", type: "button", text: title, "aria-label": `${title}: ${nameOf(model)}`, onclick: work });
  if (model.state === "serving") return [];
  const endShadow = async () => { try { await remove("/admin/shadow"); toast("Shadowing ended."); await load(); } catch (error) { complain(error); } };
  return [act("Activate", () => activation(model)), " ", model.state === "shadow" ? act("End shadow", endShadow) : act("Shadow", () => shadowing(model))];
}

function row(model) {
  return el("tr", {},
    el("th", { scope: "row" }, el("span", { class: "title", text: nameOf(model) }), model.created_at ? el("div", { class: "sub" }, time(model.created_at)) : ""),
    el("td", {}, el("span", { class: `badge ${model.state}`, text: model.state })),
    el("td", { class: "num", text: f1(model, "risk_f1") }), el("td", { class: "num", text: f1(model, "category_f1") }),
    el("td", {}, gate(model)), el("td", { class: "num nowrap" }, ...actions(model)));
}

function aboutShadow(totals) {
  if (!totals.length) return "No shadow model has run.";
  const [total] = totals;
  return `Shadow ${total.shadow}: ${count(total.n_agreeing, "finding")} agree with ${total.serving} in ${count(total.n_scans, "scan")}; ${total.n_only_serving} only the serving model reports, ${total.n_only_shadow} only the shadow.`;
}

async function loadModels() {
  const models = await get("/admin/models");
  const here = models.serving === models.serving_here ? "" : ` This process still serves ${models.serving_here}.`;
  byId("serving").textContent = `${models.serving} serves.${here}`;
  byId("rollback").hidden = !models.items.some(({ state }) => state === "previous");
  document.querySelector("#models tbody").replaceChildren(...models.items.map(row));
  byId("shadow").textContent = aboutShadow(models.shadow_totals);
}

async function loadDeployments({ more = false } = {}) {
  const page = await newestDeployments(get(`/admin/deployments${query({ per_page: 20, before: more ? before : null })}`), { more });
  if (!page) return;
  before = page.next_before;
  const body = document.querySelector("#deployments tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map((item) => el("tr", {}, el("td", { class: "sub nowrap" }, time(item.created_at)),
    el("td", { text: `${item.kind}${item.forced ? ", forced" : ""}` }), el("td", { text: item.to_model || item.from_model }),
    el("td", { class: "sub", text: item.actor }), el("td", { class: "sub", text: item.why || "" }))));
  byId("more").hidden = before === null;
  byId("deployments").hidden = body.children.length === 0;
  byId("empty").hidden = body.children.length > 0;
}

const load = () => Promise.all([loadModels(), loadDeployments()]);

async function showDrift() {
  const { categories } = await loadTaxonomy();
  await loadDrift((key) => categories.find((category) => category.key === key)?.title || key);
}

byId("deploy").addEventListener("submit", once(async () => {
  try {
    const { to_model: model } = await deploy();
    byId("deploy").close();
    toast(`Deployed: ${model}.`);
    await load();
  } catch (error) {
    byId("deploy-fault").textContent = error.message;
  }
}));
byId("cancel").addEventListener("click", () => byId("deploy").close());
byId("rollback").addEventListener("click", () => ask({ title: "Roll back?", about: "Every process returns to the previous model.", button: "Roll back",
  send: () => post("/admin/deployments", { kind: "rollback", ...why() }) }));
byId("more").addEventListener("click", () => loadDeployments({ more: true }).catch(complain));
load().catch(complain);
showDrift().catch(complain);
