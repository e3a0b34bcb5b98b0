// Top sellers and trending items.

import { bar, byId, el, empty, fill, item, table } from "/assets/dom.js";
import { decimal, money, number } from "/assets/format.js";

const hours = (seconds) => (seconds >= 3600 ? `${decimal(seconds / 3600)} h` : `${number(Math.round(seconds / 60))} min`);

export function itemPanels(page) {
  function show(data) {
    if (data.missing) {
      fill(byId("sellers-body"), empty("Nothing sold yet.", "lakehouse refresh"));
      fill(byId("trending-body"), empty("Nothing happened yet.", "lakehouse refresh"));
      return;
    }
    for (const id of ["top-sellers", "trending"]) byId(id).querySelector(".about").hidden = Boolean(data.live);
    const most = Math.max(1, ...data.top_sellers.map((row) => row.units));
    const columns = [
      { head: "Item", name: true, cell: (row) => [...item(row), bar(row.units / most)] },
      { head: "Units", num: true, cell: (row) => number(row.units) },
    ];
    if (data.currency) columns.push({ head: "Revenue", num: true, cell: (row) => money(row.revenue_cents, data.currency) });
    const now = data.live && el("p", { class: "note", text: `Just now: over the last ${hours(data.live.window_s)}.` });
    fill(byId("sellers-body"), now, data.top_sellers.length ? table("Top sellers", columns, data.top_sellers) : empty("Nothing sold here in the last seven days."));
    const trending = table("Trending items", [
      { head: "Item", name: true, cell: item },
      { head: data.live ? "Now" : "Today", num: true, cell: (row) => number(row.event_count) },
      { head: "Usual", num: true, cell: (row) => decimal(row.usual_count) },
      { head: "Score", num: true, cell: (row) => el("span", { class: row.score > 0 ? "up" : "", title: "standard deviations above its usual day", text: `${row.score > 0 ? "▲ " : ""}${decimal(row.score)}` }) },
    ], data.trending);
    const note = data.live
      ? el("p", { class: "note", text: `Just now: the last ${hours(data.live.trend_s)}, beside the usual of that time.` })
      : page.chosen.region && el("p", { class: "note", text: "Of all regions: what trends is not counted by region." });
    fill(byId("trending-body"), note, data.trending.length ? trending : empty("Nothing here in the latest 24 hours."));
  }

  return [{
    name: "items", everyMs: 5000, isFiltered: true, places: ["top-sellers", "trending"], show,
    path: () => `/v1/dashboard/items?${page.query("category", "region")}`,
  }];
}
