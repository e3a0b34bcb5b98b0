// What was refused and why, down to the bytes.

import { get } from "/assets/api.js";
import { badge, bar, byId, el, empty, fill, setText, table } from "/assets/dom.js";
import { compact, momentOf, number, percent } from "/assets/format.js";

const WORDS = { valid: "Valid", refused: "Refused", duplicate: "Sent twice", late: "Too late", seen: "Read again" };
const sentence = (code) => code.replaceAll("_", " ");

function bytesOf(base64) {
  const text = atob(base64);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Text in which nothing hides: controls and what turns the direction stand as their code. */
function plain(bytes) {
  const text = new TextDecoder("utf-8").decode(bytes);
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (letter) => (letter === "\n" || letter === "\t" ? letter
    : `⟨U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`));
}

function hex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const codes = part.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const letters = part.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${codes}  ${letters}`);
  }
  return lines.join("\n");
}

function eventNode(row) {
  const bytes = row.payload === null ? new Uint8Array() : bytesOf(row.payload);
  const cut = row.size_bytes > bytes.length ? `, of which the first ${number(bytes.length)} are shown` : "";
  const where = `${row.source}, partition ${row.source_partition}, offset ${row.source_offset}`;
  return el("article", { class: "event" },
    el("div", {}, ...row.reasons.flatMap((reason) => [badge(sentence(reason), "bad"), " "])),
    el("p", { class: "note", text: `${where} · ${momentOf(row.produced_at)} · ${number(row.size_bytes ?? 0)} bytes${cut}` }),
    row.payload === null ? el("p", { class: "note", text: "no payload: a tombstone" }) : el("pre", { tabindex: "0", text: plain(bytes) }),
    row.payload === null ? null : el("details", {}, el("summary", { text: "Bytes" }), el("pre", { class: "hex", tabindex: "0", text: hex(bytes) })));
}

let opener = null;

function close() {
  byId("quarantine").hidden = true;
  byId("quality-body").querySelector(`[data-key="${CSS.escape(opener ?? "")}"]`)?.focus();
}

async function drill(row) {
  opener = `${row.table} ${row.reason}`;
  const place = byId("quarantine");
  const title = el("h2", { tabindex: "-1", text: `${row.table}: ${sentence(row.reason)}` });
  const body = el("div", {}, el("p", { class: "note", text: "Reading …" }));
  const head = el("div", { class: "head" }, title, el("button", { type: "button", text: "Close", onclick: close }));
  fill(place, head, el("p", { class: "about" }, "The latest 20 of them, as they arrived. Take them in again with ",
    el("code", { text: `lakehouse replay-quarantine ${row.table.replace(/^\w+\.|_quarantine$/g, "")} --reason ${row.reason}` })), body);
  place.hidden = false;
  title.focus();
  try {
    const { body: data } = await get(`/v1/dashboard/quarantine/${row.table}?reason=${encodeURIComponent(row.reason)}`);
    if (data.missing) fill(body, empty(data.missing));
    else fill(body, ...(data.events.length ? data.events.map(eventNode) : [empty("They are gone: taken in, or purged.")]));
  } catch (error) {
    fill(body, empty(`They cannot be read: ${error.message}`));
  }
}

function keptTable(rows) {
  const most = Math.max(1, ...rows.map((row) => row.events));
  const reason = (row) => [el("button", { class: "link", type: "button", "data-key": `${row.table} ${row.reason}`,
    text: sentence(row.reason), onclick: () => drill(row) }), el("small", { text: row.table }), bar(row.events / most, "bad")];
  return table("Kept aside, by reason: choose one to see the events", [
    { head: "Reason", name: true, cell: reason },
    { head: "Events", num: true, cell: (row) => number(row.events) },
  ], rows, { shown: true });
}

function show(data) {
  if (data.missing || data.total.valid === null) {
    setText("tile-refused", "–");
    setText("tile-refused-note", "no event yet");
    setText("quality-about", "");
    fill(byId("quality-body"), empty("No event was taken in yet.", "lakehouse ingest"));
    return;
  }
  const total = data.total;
  const all = Object.keys(WORDS).reduce((sum, name) => sum + total[name], 0);
  setText("tile-refused", percent(total.refused / all));
  setText("tile-refused-note", `${compact(total.refused)} of ${compact(all)} events`);
  setText("quality-about", `What became of ${number(all)} events, up to ${momentOf(total.ended_at)}`);
  const chips = Object.entries(WORDS).map(([name, word]) => el("div", {}, el("dt", { text: word }), el("dd", { text: number(total[name]) })));
  const checks = data.failed_checks.length ? table("Checks that committed rows broke", [
    { head: "Table", name: true, cell: (row) => row.table_name },
    { head: "Check", cell: (row) => sentence(row.reason) },
    { head: "Rows", num: true, cell: (row) => number(row.failures) },
  ], data.failed_checks, { shown: true }) : null;
  const days = data.days.length < 2 ? null : el("details", {}, el("summary", { text: "By day" }), table("Events by day", [
    { head: "Day", cell: (row) => row.day },
    ...Object.entries(WORDS).map(([name, word]) => ({ head: word, num: true, extra: name === "seen", cell: (row) => number(row[name]) })),
  ], [...data.days].reverse()));
  fill(byId("quality-body"), el("dl", { class: "chips" }, ...chips),
    data.kept.length ? keptTable(data.kept) : empty("Nothing is kept aside: no event was refused or late."), checks, days);
}

export function qualityPanels() {
  return [{ name: "quality", everyMs: 5000, places: ["quality"], show, path: () => "/v1/dashboard/quality" }];
}
