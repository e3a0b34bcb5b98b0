// Line charts over time by uPlot, in the colours of the page.

import uPlot from "/assets/uPlot.esm.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `light-dark()` of a variable, as one colour that a canvas takes. */
function resolved(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found || colour(name);
}

function faded(rgb, alpha) {
  return rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

const DAY_S = 86400;
const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const dayOfMonth = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });

/** The day at midnight, else the time of day. */
function timeOf(seconds, step) {
  const isDay = step >= DAY_S || seconds % DAY_S === 0;
  return (isDay ? dayOfMonth : clockTime).format(new Date(seconds * 1000));
}

export class LineChart {
  /** `series`: label, colour (a variable of the page), `dash` and `area` where they hold. */
  constructor(host, { series, format, formatAxis, height = 240 }) {
    Object.assign(this, { host, series, format, formatAxis, height, data: null, plot: null });
    host.classList.add("chart");
    host.setAttribute("role", "img");
    new ResizeObserver(() => this.resize()).observe(host);
    const again = () => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    document.addEventListener("themechange", again);
  }

  /** `data`: seconds since 1970, then the values of each series; `label` says it in words. */
  show(data, label) {
    this.host.setAttribute("aria-label", label);
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else this.draw();
  }

  /** Take the chart away. */
  clear() {
    this.plot?.destroy();
    this.plot = this.data = null;
  }

  resize() {
    const width = this.host.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  draw() {
    if (!this.data) return;
    this.plot?.destroy();
    const soft = resolved("--soft");
    const grid = { stroke: resolved("--line"), width: 1 };
    const axis = { stroke: soft, grid, ticks: grid, font: "12px system-ui, sans-serif" };
    const series = this.series.map((one) => {
      const stroke = resolved(one.colour);
      return { label: one.label, stroke, width: one.area ? 2 : 1.5, dash: one.dash,
        fill: one.area ? faded(stroke, 0.12) : undefined, points: { show: false },
        value: (_, value) => (value === null ? "–" : this.format(value)) };
    });
    const options = {
      width: this.host.clientWidth || 600, height: this.height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), (high || 1) * 1.08] } },
      axes: [{ ...axis, values: (_, at, __, ___, step) => at.map((s) => timeOf(s, step)) }, { ...axis, size: 64, values: (_, values) => values.map(this.formatAxis) }],
      series: [{ label: "UTC", value: (_, s) => (s ? new Date(s * 1000).toISOString().slice(0, 16).replace("T", " ") : "–") }, ...series],
    };
    this.plot = new uPlot(options, this.data, this.host);
  }
}
