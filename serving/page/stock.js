// What runs out, and what to charge.

import { badge, bar, byId, el, empty, fill, placedItem, setText, table } from "/assets/dom.js";
import { decimal, money, momentOf, number, percent } from "/assets/format.js";

function cover(row) {
  if (row.days_of_cover <= 0) return [badge("out of stock", "bad")];
  const kind = row.days_of_cover < 3 ? "down" : row.days_of_cover < 7 ? "warn" : "";
  return [el("span", { class: kind, text: `${decimal(row.days_of_cover)} days` }), bar(row.days_of_cover / 14, row.days_of_cover < 3 ? "bad" : "")];
}

function showStock(data) {
  if (data.missing) {
    setText("tile-stock", "–");
    setText("tile-stock-note", "no stock yet");
    setText("stock-about", "");
    fill(byId("stock-body"), empty("No stock is known yet: gold.stockout_risk is not there.", "lakehouse refresh"));
    return;
  }
  setText("tile-stock", number(data.out));
  setText("tile-stock-note", `of ${number(data.places)} items in their regions; ${number(data.under_3_days)} more within 3 days`);
  setText("stock-about", data.as_of_at ? `Days until nothing is left at the rate of the last four weeks, as of ${momentOf(data.as_of_at)}` : "");
  fill(byId("stock-body"), data.items.length ? table("Stock-out risk", [
    { head: "Item", name: true, cell: placedItem },
    { head: "Region", whole: true, extra: true, cell: (row) => row.region },
    { head: "In stock", num: true, cell: (row) => number(row.quantity) },
    { head: "A day", num: true, extra: true, cell: (row) => decimal(row.units_per_day) },
    { head: "Lasts", cell: cover },
  ], data.items) : empty("Nothing that sells is about to run out here."));
}

const signed = (text, value) => el("span", { class: value > 0 ? "up" : value < 0 ? "down" : "", text: `${value > 0 ? "+" : ""}${text}` });

function price(row) {
  const share = row.suggested_cents / row.price_cents - 1;
  return [el("strong", { text: money(row.suggested_cents, row.currency) }),
    el("small", { text: `now ${money(row.price_cents, row.currency)}${row.price_cents ? `, ${share > 0 ? "+" : "−"}${percent(Math.abs(share))}` : ""}` })];
}

function profit(row) {
  return [signed(money(Math.round(row.profit_change_cents), row.currency), row.profit_change_cents),
    el("small", { text: `${money(Math.round(row.profit_change_low), row.currency)} to ${money(Math.round(row.profit_change_high), row.currency)}` })];
}

function units(row) {
  return [signed(decimal(row.units_change), row.units_change), el("small", { text: `now ${decimal(row.units_per_week)}` })];
}

function showPrices(data) {
  const isThere = !data.missing && data.available;
  byId("prices").hidden = !isThere;
  if (!isThere) return;
  setText("prices-about", data.as_of_at ? `${number(data.changes)} of ${number(data.places)} prices could do better, as of ${momentOf(data.as_of_at)}; ranges hold 90 %` : "");
  fill(byId("prices-body"), data.items.length ? table("Price suggestions", [
    { head: "Item", name: true, cell: placedItem },
    { head: "Region", whole: true, extra: true, cell: (row) => row.region },
    { head: "Price", num: true, cell: price },
    { head: "Units a week", num: true, extra: true, cell: units },
    { head: "Profit a week", num: true, cell: profit },
    { head: "Sure", num: true, cell: (row) => (row.confidence === null ? "–" : percent(row.confidence)) },
    { head: "Why", extra: true, cell: (row) => row.reason },
  ], data.items) : empty("No price here should change, as far as is known."));
}

export function stockPanels(page) {
  const path = (name) => () => `/v1/dashboard/${name}?${page.query("category", "region")}`;
  return [
    { name: "stock", everyMs: 5000, isFiltered: true, places: ["stock"], show: showStock, path: path("stock") },
    { name: "prices", everyMs: 15000, isFiltered: true, places: ["prices"], show: showPrices, path: path("prices") },
  ];
}
