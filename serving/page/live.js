// Streams, views and published answers with their age, and the runs of jobs.

import { clock } from "/assets/api.js";
import { LineChart } from "/assets/charts.js";
import { ago, badge, byId, el, empty, fill, setText, table } from "/assets/dom.js";
import { compact, momentOf, number, span } from "/assets/format.js";

const KINDS = { running: "good", ended: "idle", failed: "bad", died: "bad" };
const STATES = { SUCCESS: "good", SUCCESS_WITH_FAILURES: "idle", RUNNING: "busy", QUEUED: "busy", PENDING: "busy" };

const rateOf = (stream) => (stream.condition === "running" ? stream.rows_per_second : 0);
const lagOf = (stream) => (stream.lag === null ? "?" : `${number(stream.lag)} ${stream.lag_unit}`);

function streamTable(streams) {
  if (!streams.length) return empty("No stream has run yet.", "lakehouse ingest --continuous");
  const state = (row) => [badge(row.condition, KINDS[row.condition] ?? "idle"), row.error ? el("small", { class: "down", text: row.error }) : null].filter(Boolean);
  return table("Streams", [
    { head: "Stream", cell: (row) => row.stream },
    { head: "Is", cell: state },
    { head: "Rows/s", num: true, cell: (row) => compact(Math.round(rateOf(row))) },
    { head: "Lag", num: true, cell: lagOf },
    { head: "Last report", num: true, cell: (row) => ago(row.at * 1000) },
    { head: "Batch took", num: true, extra: true, cell: (row) => span(row.batch_seconds) },
    { head: "Rows so far", num: true, extra: true, cell: (row) => number(row.rows) },
  ], streams);
}

const viewTable = (views) => table("Views", [
  { head: "View", cell: (row) => row.view },
  { head: "Changed", num: true, cell: (row) => ago(row.refreshed_at) },
  { head: "By", extra: true, cell: (row) => row.strategy },
  { head: "Took", num: true, cell: (row) => span(row.seconds) },
], views);

const answerTable = (published) => table("Published answers", [
  { head: "Kind", cell: (row) => row.kind },
  { head: "Published", num: true, cell: (row) => ago(row.published_at) },
  { head: "Entries", num: true, cell: (row) => number(row.entries) },
], published);

function showTiles(streams) {
  const first = streams.find((stream) => stream.stream === "bronze") ?? streams[0];
  setText("tile-rate", first ? compact(Math.round(rateOf(first))) : "–");
  const lag = streams.filter((stream) => stream.lag !== null && stream.condition === "running");
  setText("tile-rate-note", !first ? "no stream yet"
    : lag.length ? `lag ${lag.map((stream) => `${compact(stream.lag)} ${stream.lag_unit}`).join(", ")}` : `${first.stream} ${first.condition}`);
}

function takes(row) {
  if (!row.started_at) return "–";
  const ended = row.ended_at ?? (row.is_lost || row.has_ended ? null : clock.now() / 1000);
  return ended ? span(ended - row.started_at) : "–";
}

function showRuns(data) {
  const state = (row) => (row.is_lost ? badge("LOST", "bad") : badge(row.state.replaceAll("_", " "), STATES[row.state] ?? "bad"));
  fill(byId("runs-body"), data.runs?.length ? table("Workflow runs", [
    { head: "Job", name: true, cell: (row) => [row.job, el("small", { text: `run ${row.run_id}${row.message ? `: ${row.message}` : ""}` })] },
    { head: "State", cell: state },
    { head: "Started", num: true, cell: (row) => (row.started_at ? ago(row.started_at * 1000) : "–") },
    { head: "Took", num: true, cell: takes },
  ], data.runs, { tall: true }) : empty("No job has run yet.", "lakehouse run refresh"));
}

export function livePanels() {
  let chart = null;

  function showChart(minutes) {
    const host = byId("live-chart");
    host.hidden = minutes.length < 3;
    if (host.hidden) return;
    chart ??= new LineChart(host, {
      series: [
        { label: "Valid", colour: "--accent", area: true },
        { label: "Refused, late or repeated", colour: "--bad" },
      ],
      format: (value) => `${number(value)} a minute`,
      formatAxis: compact,
      height: 180,
    });
    const sum = minutes.reduce((all, row) => all + row.valid + row.other, 0);
    chart.show([minutes.map((row) => Date.parse(row.minute_at) / 1000), minutes.map((row) => row.valid), minutes.map((row) => row.other)],
      `Events by minute in the hour up to ${momentOf(minutes.at(-1).minute_at)}: ${number(sum)}`);
  }

  function show({ streams = [], minutes = [], views = [], published = [], watermark }) {
    showTiles(streams);
    setText("live-about", watermark ? `Events up to ${momentOf(watermark)} are in silver` : "");
    showChart(minutes);
    const more = [
      views.length && el("details", {}, el("summary", { text: `Views (${views.length})` }), viewTable(views)),
      published.length && el("details", {}, el("summary", { text: `Published answers (${published.length})` }), answerTable(published)),
    ];
    fill(byId("live-body"), streamTable(streams), ...more);
  }

  return [
    { name: "live", everyMs: 2000, places: ["live"], show, path: () => "/v1/dashboard/live" },
    { name: "runs", everyMs: 5000, places: ["runs"], show: showRuns, path: () => "/v1/dashboard/runs" },
  ];
}
