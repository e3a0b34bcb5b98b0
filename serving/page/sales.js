// Revenue by hour, region and category, beside the week before.

import { LineChart } from "/assets/charts.js";
import { bar, byId, el, empty, fill, setText, table } from "/assets/dom.js";
import { change, compact, hourOf, money, momentOf, number } from "/assets/format.js";

const NOTHING = "No sales yet: gold.sales_hourly is not there.";

function changeCell(now, before) {
  const made = change(now, before);
  return made ? el("span", { class: made.kind, text: made.text }) : el("span", { text: now ? "new" : "–" });
}

function tile(id, text, now, before) {
  setText(`tile-${id}`, text);
  const note = byId(`tile-${id}-note`);
  if (before) fill(note, changeCell(now, before), " on the week before");
  else fill(note, "nothing the week before");
}

function groups(head, rows, data, filter, page) {
  const most = Math.max(1, ...rows.map((row) => row.revenue_cents ?? 0));
  const name = (row) => {
    const isChosen = page.chosen[filter] === row.name;
    return el("button", { class: "link", type: "button", "aria-pressed": String(isChosen),
      "data-key": `${filter} ${row.name}`, text: row.name,
      onclick: () => page.choose(filter, isChosen ? "" : row.name) });
  };
  return table(`Revenue by ${filter}`, [
    { head, name: true, cell: (row) => [name(row), bar(row.revenue_cents / most)] },
    { head: "Revenue", num: true, cell: (row) => money(row.revenue_cents ?? 0, data.currency) },
    { head: "Week before", num: true, extra: true, cell: (row) => money(row.old_revenue_cents ?? 0, data.currency) },
    { head: "Change", num: true, cell: (row) => changeCell(row.revenue_cents, row.old_revenue_cents) },
  ], rows);
}

export function salesPanels(page) {
  let chart = null;
  let detail = null;

  function showChart(data) {
    const host = byId("sales-chart");
    if (!chart) {
      const plot = el("div");
      const rows = el("div");
      detail = { node: el("details", { ontoggle: () => showRows() }, el("summary", { text: "As a table" }), rows), rows };
      fill(host, plot, detail.node);
      chart = new LineChart(plot, {
        series: [
          { label: "Week before", colour: "--before", dash: [5, 4] },
          { label: "Revenue", colour: "--accent", area: true },
        ],
        format: (value) => money(value, chart.currency),
        formatAxis: (value) => money(value, chart.currency, "compact"),
        height: 280,
      });
    }
    chart.currency = data.currency;
    const label = `Revenue by hour up to ${momentOf(data.newest_at)}: ${money(data.total.revenue_cents ?? 0, data.currency)}, the week before ${money(data.total.old_revenue_cents ?? 0, data.currency)}`;
    chart.show([
      data.hours.map((row) => Date.parse(row.hour_at) / 1000),
      data.hours.map((row) => row.old_revenue_cents),
      data.hours.map((row) => row.revenue_cents),
    ], label);
    detail.data = data;
    showRows();
  }

  function showRows() {
    if (!detail.node.open) return;
    const { hours, currency } = detail.data;
    fill(detail.rows, table("Revenue by hour", [
      { head: "Hour (UTC)", cell: (row) => hourOf(row.hour_at) },
      { head: "Revenue", num: true, cell: (row) => money(row.revenue_cents, currency) },
      { head: "Week before", num: true, cell: (row) => money(row.old_revenue_cents, currency) },
    ], [...hours].reverse()));
  }

  function showNothing(why) {
    for (const id of ["revenue", "units", "purchases"]) {
      setText(`tile-${id}`, "–");
      setText(`tile-${id}-note`, "no sales yet");
    }
    setText("sales-about", "");
    chart?.clear();
    chart = null;
    fill(byId("sales-chart"), empty(why, "lakehouse ingest, then lakehouse refresh"));
    for (const id of ["regions-body", "categories-body"]) fill(byId(id), empty("Nothing to compare yet."));
  }

  function show(data) {
    if (data.missing || !data.newest_at) return showNothing(NOTHING);
    const { total, currency } = data;
    tile("revenue", money(total.revenue_cents ?? 0, currency, (total.revenue_cents ?? 0) > 10000000 ? "compact" : "standard"), total.revenue_cents, total.old_revenue_cents);
    byId("tile-revenue").title = money(total.revenue_cents ?? 0, currency);
    tile("units", compact(total.units ?? 0), total.units, total.old_units);
    byId("tile-units").title = number(total.units ?? 0);
    tile("purchases", compact(total.purchase_count ?? 0), total.purchase_count, total.old_purchase_count);
    const span = page.chosen.hours === "24" ? "24 hours" : "7 days";
    setText("sales-about", `${span} up to ${momentOf(data.newest_at)}, the newest hour of the data, which may still fill`);
    showChart(data);
    fill(byId("regions-body"), groups("Region", data.regions, data, "region", page));
    fill(byId("categories-body"), groups("Category", data.categories, data, "category", page));
    page.offer("region", data.all_regions, "All");
    page.offer("category", data.all_categories, "All");
    page.offer("currency", data.currencies);
    byId("currency-choice").hidden = data.currencies.length < 2;
  }

  return [{
    name: "sales", everyMs: 3000, isFiltered: true, places: ["sales", "regions", "categories"], show,
    path: () => `/v1/dashboard/sales?${page.query("hours", "category", "region", "currency")}`,
  }];
}
