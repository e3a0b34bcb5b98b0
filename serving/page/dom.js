// Elements from text, never from markup: what the lake holds cannot become script.

/** An element; `class`, `text`, listeners (`onclick`) and attributes by name. */
export function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

export function setText(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

/** Put other content in a place, and leave focus and scroll where they were. */
export function fill(host, ...nodes) {
  const focused = host.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset.key;
  const scrolled = [...host.querySelectorAll(".scroll")].map((node) => node.scrollTop);
  const open = [...host.querySelectorAll("details")].map((node) => node.open);
  host.replaceChildren(...nodes.filter(Boolean));
  host.querySelectorAll(".scroll").forEach((node, n) => { node.scrollTop = scrolled[n] ?? 0; });
  host.querySelectorAll("details").forEach((node, n) => { if (open[n]) node.open = true; });
  if (key) host.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/**
 * A table that scrolls in itself. Each column: `head`, `cell(row)` that gives text or a node,
 * and, where it holds, `num` (right-aligned), `whole` (on one line), `name` (the widest) and `extra` (left
 * out on a phone).
 */
export function table(caption, columns, rows, { shown = false, tall = false } = {}) {
  const kind = (c) => [c.num && "num", c.whole && "whole", c.extra && "extra", c.name && "name"].filter(Boolean).join(" ");
  const head = columns.map((c) => el("th", { scope: "col", class: kind(c), text: c.head }));
  const body = rows.map((row) => {
    const cells = columns.map((c) => {
      const made = c.cell(row);
      return el("td", { class: kind(c) }, ...(Array.isArray(made) ? made : [made ?? "–"]));
    });
    return el("tr", {}, ...cells);
  });
  return el("div", { class: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("caption", { class: shown ? "" : "unseen", text: caption }),
      el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, ...body)));
}

/** A bar as long as `share` (0 to 1) of its place. */
export function bar(share, kind = "") {
  const node = el("span", { class: `bar ${kind}`, "aria-hidden": "true" });
  node.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
  return node;
}

export const empty = (text, command) =>
  el("p", { class: "empty" }, text, ...(command ? [" Run ", el("code", { text: command }), "."] : []));

export const badge = (text, kind) => el("span", { class: `badge is-${kind}`, text });

/** Title and id of an item, one above the other. */
export const item = (row) => [row.title || row.item_id, el("small", { text: [row.title && row.item_id, row.category].filter(Boolean).join(" · ") })];

/** The same with its region, which on a phone has no column of its own. */
export const placedItem = (row) => [...item(row), el("small", { class: "phone", text: row.region })];

/** How long ago something was; `app.js` keeps it up to date. */
export const ago = (at) => (at ? el("time", { datetime: new Date(at).toISOString(), "data-at": Date.parse(at) || at }) : "–");
