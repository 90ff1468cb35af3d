// Webhooks: create, test, rotate, disable and delete, and the log of their deliveries.
import { get, post, put, query, remove } from "./api.js";
import { attempt, byId, complain, count, el, newest, once, refuse, showSecret, time, toast } from "./ui.js";

let shown = null; // the webhook whose deliveries are listed
let next = null;
const newestDeliveries = newest(byId("more"));

function showOnce({ secret, name }) {
  showSecret(byId("shown-secret"), el("p", { text: `The secret of ${name}. Copy it now: it is not shown again.` }), secret);
}

function button(title, webhook, work, kind = "") {
  return el("button", { class: `button small quiet ${kind}`, type: "button", text: title, "aria-label": `${title}: ${webhook.name}`, onclick: once(attempt(work)) });
}

async function setEnabled(webhook, isEnabled) {
  await put(`/webhooks/${webhook.id}`, { name: webhook.name, url: webhook.url, is_enabled: isEnabled });
  await load();
}

async function test(webhook) {
  await post(`/webhooks/${webhook.id}/test`);
  toast("A test event is on its way.");
  await showDeliveries(webhook);
}

async function rotate(webhook) {
  showOnce(await post(`/webhooks/${webhook.id}/rotation`));
  await load();
}

async function drop(webhook) {
  if (!confirm(`Delete the webhook ${webhook.name} and its log?`)) return;
  await remove(`/webhooks/${webhook.id}`);
  if (shown?.id === webhook.id) byId("log").hidden = true;
  await load();
}

function row(webhook) {
  const state = webhook.is_enabled ? button("Disable", webhook, () => setEnabled(webhook, false)) : button("Enable", webhook, () => setEnabled(webhook, true));
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: webhook.name }), el("br"), el("span", { class: "sub", text: webhook.url })),
    el("td", { class: "sub", text: webhook.is_enabled ? "enabled" : "disabled" }),
    el("td", { class: "num" },
      button("Deliveries", webhook, () => showDeliveries(webhook)),
      webhook.is_enabled ? button("Test", webhook, () => test(webhook)) : null,
      button("New secret", webhook, () => rotate(webhook)),
      state,
      button("Delete", webhook, () => drop(webhook), "danger")));
}

function outcome(delivery) {
  const attempts = count(delivery.n_attempts, "attempt");
  if (delivery.state === "delivered") return el("span", {}, `delivered, ${attempts}, `, time(delivery.delivered_at));
  if (delivery.state === "failed") return el("span", { text: `failed after ${attempts}: ${delivery.error}` });
  if (!delivery.n_attempts) return el("span", { text: "waiting" });
  return el("span", {}, `${attempts}: ${delivery.error}; the next `, time(delivery.next_attempt_at));
}

async function sendAgain(delivery) {
  await post(`/webhooks/${shown.id}/deliveries/${delivery.id}/redelivery`);
  toast("The event is on its way again.");
  await loadDeliveries();
}

function deliveryRow(delivery) {
  const again = delivery.state === "waiting" ? null
    : el("button", { class: "button small quiet", type: "button", text: "Send again", "aria-label": `Send again: ${delivery.event} of ${delivery.created_at}`, onclick: once(attempt(() => sendAgain(delivery))) });
  return el("tr", {},
    el("td", {}, el("span", { class: "title", text: delivery.event })),
    el("td", { class: "sub" }, time(delivery.created_at)),
    el("td", { class: "sub" }, outcome(delivery)),
    el("td", { class: "num nowrap" }, again));
}

async function loadDeliveries({ more = false } = {}) {
  const page = await newestDeliveries(get(`/webhooks/${shown.id}/deliveries${query({ per_page: 20, cursor: more ? next : null })}`), { more });
  if (!page) return;
  next = page.next_cursor;
  const body = document.querySelector("#deliveries tbody");
  if (!more) body.replaceChildren();
  body.append(...page.items.map(deliveryRow));
  byId("more").hidden = next === null;
  byId("deliveries").hidden = body.children.length === 0;
  byId("no-deliveries").hidden = body.children.length > 0;
}

async function showDeliveries(webhook) {
  shown = webhook;
  byId("deliveries-title").textContent = `Deliveries to ${webhook.name}`;
  await loadDeliveries();
  byId("log").hidden = false;
  byId("deliveries-title").focus();
}

async function load() {
  const { items } = await get("/webhooks?per_page=100");
  document.querySelector("#webhooks tbody").replaceChildren(...items.map(row));
  byId("webhooks").hidden = items.length === 0;
  byId("empty").hidden = items.length > 0;
}

byId("new-webhook").addEventListener("submit", once(async (event) => {
  byId("fault").hidden = true;
  try {
    showOnce(await post("/webhooks", { name: byId("name").value.trim(), url: byId("url").value.trim() }));
    event.target.reset();
    await load();
  } catch (error) { refuse(byId("fault"), error); }
}));
byId("refresh").addEventListener("click", once(attempt(() => loadDeliveries()))); // a second click would drop the answer to the first
byId("more").addEventListener("click", attempt(() => loadDeliveries({ more: true })));
load().catch(complain);
