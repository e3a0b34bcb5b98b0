// A customer's history, beside what is recommended.

import { badge, byId, el, empty, fill, item, table } from "/assets/dom.js";
import { dayOf, decimal, money, number } from "/assets/format.js";

function profile(row) {
  const facts = [
    ["Baskets", number(row.basket_count)],
    ["Spent", money(row.spent_cents, row.currency)],
    ["A basket", money(Math.round(row.basket_cents), row.currency)],
    ["Last seen", dayOf(row.last_purchase_date)],
    ["Likes", [row.first_category, row.second_category, row.third_category].filter(Boolean).join(", ")],
  ];
  return el("dl", { class: "chips" }, ...facts.map(([name, text]) => el("div", {}, el("dt", { text: name }), el("dd", { text }))));
}

function recommended(data) {
  if (!data.recommended.length) return empty("No recommendations are published yet.", "lakehouse publish");
  const bought = new Set((data.purchases ?? []).map((row) => row.category));
  const why = (row) => [row.reason ?? "–", bought.has(row.category) ? el("small", { text: "buys in this category" }) : null].filter(Boolean);
  return el("div", {}, data.fallback ? el("p", { class: "note", text: "Nothing personal is known: these are popular with all." }) : null,
    table("Recommended", [
      { head: "Item", name: true, cell: item },
      { head: "Why", extra: true, cell: why },
      { head: "Score", num: true, cell: (row) => decimal(row.score) },
    ], data.recommended));
}

function history(rows) {
  if (!rows) return empty("No purchase was taken in yet.", "lakehouse ingest");
  if (!rows.length) return empty("Nothing bought so far.");
  return table("Bought", [
    { head: "Item", name: true, cell: item },
    { head: "Day", cell: (row) => dayOf(row.occurred_at) },
    { head: "Units", num: true, cell: (row) => number(row.quantity) },
    { head: "Paid", num: true, cell: (row) => money(row.amount_cents, row.currency) },
  ], rows);
}

export function customerPanels() {
  const form = byId("customer-form");
  let chosen = "";

  const one = {
    name: "customer", everyMs: 10000, places: ["customer"],
    path: () => (chosen ? `/v1/dashboard/customers/${encodeURIComponent(chosen)}` : null),
    show(data) {
      const body = byId("customer-body");
      const model = data.model_version && !data.fallback ? badge(`model ${data.model_version}`, "idle") : null;
      fill(body, ...(data.profile ?? []).map(profile), el("div", { class: "split" },
        el("div", {}, el("h3", {}, `Recommended for ${chosen} `, model), recommended(data)),
        el("div", {}, el("h3", { text: "Bought last" }), history(data.purchases))));
    },
  };

  const list = {
    name: "customers", everyMs: 30000, places: [],
    path: () => "/v1/dashboard/customers",
    show(data) {
      const rows = data.customers ?? [];
      byId("customer-list").replaceChildren(...rows.map((row) => el("option", { value: row.customer_id })));
      if (chosen) return;
      if (!rows.length) return fill(byId("customer-body"), empty("No customer is known yet.", "lakehouse refresh"));
      chosen = form.elements.customer_id.value = rows[0].customer_id;
      one.again();
    },
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    chosen = form.elements.customer_id.value.trim();
    one.again();
  });
  return [one, list];
}
