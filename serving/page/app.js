// The page: its filters, its panels, and whether they are up to date.

import { clock } from "/assets/api.js";
import { customerPanels } from "/assets/customers.js";
import { byId, el, setText } from "/assets/dom.js";
import { momentOf, span } from "/assets/format.js";
import { itemPanels } from "/assets/items.js";
import { livePanels } from "/assets/live.js";
import { Poll } from "/assets/poll.js";
import { qualityPanels } from "/assets/quality.js";
import { salesPanels } from "/assets/sales.js";
import { stockPanels } from "/assets/stock.js";

const NAMES = ["hours", "category", "region", "currency"];
const form = byId("filters");
const chosen = { hours: "168", category: "", region: "", currency: "" };
const failing = new Map();
let answered = 0;

/** What panels may do to the page: read and change filters, ask again. */
const page = {
  chosen,
  query: (...names) => names.map((name) => `${name}=${encodeURIComponent(chosen[name])}`).join("&"),
  choose(name, value) {
    chosen[name] = value;
    remember();
    apply();
  },
  /** Let a filter offer what there is; what is chosen stays. */
  offer(name, values, first) {
    const select = form.elements[name];
    const offered = [...(first === undefined ? [] : [["", first]]), ...values.map((value) => [value, value])];
    if (chosen[name] && !values.includes(chosen[name])) offered.push([chosen[name], chosen[name]]);
    const known = [...select.options].map((option) => option.value);
    if (known.join("\n") !== offered.map(([value]) => value).join("\n")) {
      select.replaceChildren(...offered.map(([value, text]) => el("option", { value, text })));
    }
    select.value = chosen[name] || (first === undefined ? values[0] : "");
  },
};

const panels = [salesPanels, itemPanels, stockPanels, livePanels, qualityPanels, customerPanels]
  .flatMap((make) => make(page));
const polls = panels.map((panel) => {
  const tell = (error) => {
    if (error) failing.set(panel.name, error.message);
    else {
      failing.delete(panel.name);
      answered = clock.now();
    }
    for (const id of panel.places) byId(id).classList.toggle("is-old", Boolean(error));
    showStatus();
  };
  const poll = new Poll(panel.path, panel.everyMs, panel.show, tell);
  panel.again = () => poll.now();
  return { panel, poll };
});

function apply() {
  form.elements.hours.value = chosen.hours;
  for (const select of form.querySelectorAll("select")) {
    const value = chosen[select.name];
    if (![...select.options].some((option) => option.value === value)) select.append(el("option", { value, text: value }));
    select.value = value;
  }
  for (const { panel, poll } of polls) if (panel.isFiltered) poll.now();
}

function remember() {
  const kept = new URLSearchParams(NAMES.filter((n) => chosen[n] && !(n === "hours" && chosen[n] === "168")).map((n) => [n, chosen[n]]));
  history.replaceState(null, "", kept.size ? `#${kept}` : location.pathname);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const name of NAMES) if (kept.has(name)) chosen[name] = kept.get(name);
  if (!["24", "168"].includes(chosen.hours)) chosen.hours = "168";
}

function showStatus() {
  const pill = byId("status");
  if (failing.size === 0) {
    pill.dataset.is = "live";
    setText("status-text", "Live");
    pill.title = "";
  } else {
    const [why] = failing.values();
    pill.dataset.is = "lost";
    setText("status-text", answered ? `Not answering; as of ${momentOf(answered)}` : "Not answering");
    pill.title = why;
  }
}

function tick() {
  for (const node of document.querySelectorAll("time[data-at]")) {
    const seconds = (clock.now() - Number(node.dataset.at)) / 1000;
    const text = `${span(seconds)} ago`;
    if (node.textContent !== text) node.textContent = text;
    if (!node.title) node.title = momentOf(Number(node.dataset.at));
  }
}

const THEMES = ["auto", "light", "dark"];
function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText("theme", `Theme: ${theme}`);
  document.dispatchEvent(new Event("themechange"));
}

let theme = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto";
byId("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  localStorage.setItem("theme", theme);
  showTheme(theme);
});

form.addEventListener("change", (event) => page.choose(event.target.name, event.target.value));
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", () => { recall(); apply(); });
recall();
showTheme(theme);
apply();
for (const { panel, poll } of polls) if (!panel.isFiltered) poll.now();
new MutationObserver(tick).observe(byId("main"), { childList: true, subtree: true });
setInterval(tick, 1000);
