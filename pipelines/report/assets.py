"""The report's style sheet and the script that draws its charts."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fcfcfa; --ink: #1d2227; --muted: #667079; --line: #e3e4df; --card: #f4f4ef;
  --accent: #1f6f78; --quiet: #cbd5d3;
  --ramp-0: #eef2ee; --ramp-1: #a9cfc9; --ramp-2: #3d8c92; --ramp-3: #0d3f4c;
  --series-1: #1f6f78; --series-2: #c9702b; --series-3: #6a5aa5; --series-4: #b23f5c;
  --series-5: #7f8c1f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181b; --ink: #e8eaea; --muted: #98a2a9; --line: #2b3237; --card: #1c2226;
    --accent: #56b3b4; --quiet: #3b474b;
    --ramp-0: #1d2529; --ramp-1: #1f555c; --ramp-2: #4aa3a4; --ramp-3: #d3f3e4;
    --series-1: #56b3b4; --series-2: #eb9a55; --series-3: #a99bea; --series-4: #ee7f99;
    --series-5: #c3cf62;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 48px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 4px; }
h2 { font-size: 21px; line-height: 1.3; letter-spacing: -.01em; margin: 2px 0 14px;
     font-weight: 600; text-wrap: pretty; }
h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; }
header p, footer { color: var(--muted); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 1px;
     margin: 28px 0 0; border: 1px solid var(--line);
     border-radius: 10px; overflow: hidden; }
dl div { padding: 14px 16px; box-shadow: 0 0 0 1px var(--line); }
dt { color: var(--muted); font-size: 13px; }
dd { margin: 2px 0 0; white-space: nowrap; font-size: 19px; font-weight: 600;
     letter-spacing: -.01em; }
dd small { display: block; font-size: 12px; font-weight: 400; color: var(--muted);
           letter-spacing: 0; }
section { margin: 56px 0 0; }
.topic { color: var(--accent); font-size: 13px; font-weight: 600; margin: 0; }
.source, .missing { color: var(--muted); font-size: 13px; margin: 10px 0 0; }
.missing { background: var(--card); border-radius: 8px; padding: 12px 16px; font-size: 15px; }
figure { margin: 0 0 18px; min-width: 0; }
figcaption { font-size: 13px; color: var(--muted); margin-bottom: 2px; }
.chart, .chart.vega-embed { display: block; width: 100%; min-height: 60px; }
.chart svg { display: block; max-width: 100%; }
.many { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 4px 28px; }
.tables { display: grid; gap: 28px; grid-template-columns: 1fr; }
@media (min-width: 860px) { .tables.pair { grid-template-columns: 1fr 1fr; } }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--muted); font-weight: 500; font-size: 12px; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
.amount { text-align: right; white-space: nowrap; }
code { font: 12px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
       overflow-wrap: anywhere; color: var(--muted); }
td code { display: block; max-width: 62ch; min-width: 26ch; }
footer { margin-top: 64px; padding-top: 16px; padding-bottom: 48px; font-size: 13px;
         border-top: 1px solid var(--line); }
#vg-tooltip-element { font: 13px/1.4 system-ui, sans-serif; background: var(--page);
  color: var(--ink); border: 1px solid var(--line); border-radius: 6px; }
#vg-tooltip-element table tr td.key { color: var(--muted); }
@media (max-width: 600px) {
  main, header, footer { padding-left: 16px; padding-right: 16px; }
  header { padding-top: 28px; }
  h1 { font-size: 25px; } h2 { font-size: 19px; }
  section { margin-top: 44px; }
  dl { grid-template-columns: 1fr 1fr; }
  dd { font-size: 18px; }
  td { overflow-wrap: anywhere; }
  td code { min-width: 14ch; }
}
"""

# Draws every chart in the page's colours, and again when the reader's theme or the width class
# changes. Colour names are replaced outside `datasets` only: what stands there is data.
SCRIPT = """
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 600px)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const painted = (key, value) => {
  const name = typeof value === "string" && /^var\\((--[a-z0-9-]+)\\)$/.exec(value);
  return name ? colour(name[1]) : value;
};
const config = () => {
  const [ink, muted, line] = ["--ink", "--muted", "--line"].map(colour);
  const font = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  const text = { labelFont: font, titleFont: font, labelFontSize: 12, titleFontSize: 12,
                 titleFontWeight: 400, titleColor: muted };
  return {
    background: null, font, view: { stroke: null }, text: { font, fontSize: 12 },
    axis: { ...text, labelColor: ink, gridColor: line, domainColor: line, tickColor: line },
    axisX: { labelColor: muted },
    axisY: { labelLimit: narrow.matches ? 132 : 300, labelPadding: 8 },
    axisYQuantitative: { labelColor: muted },
    legend: { ...text, labelColor: ink, orient: "top", symbolType: "circle", labelLimit: 220,
              columns: narrow.matches ? 2 : 0 },
  };
};
const specs = JSON.parse(document.getElementById("charts").textContent);
const draw = () => document.querySelectorAll(".chart").forEach((place) => {
  const { datasets, ...shape } = specs[place.id];
  const spec = { ...JSON.parse(JSON.stringify(shape), painted), datasets };
  vegaEmbed(place, spec, {
    mode: "vega-lite", actions: false, renderer: "svg", config: config(),
    tooltip: { theme: "custom" },
  });
});
draw();
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
"""
