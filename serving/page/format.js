// Numbers, money and times as people read them. Times of the data are UTC.

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const one = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const moneys = new Map();

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const compact = (value) => (value === null || value === undefined ? "–" : Math.abs(value) < 10000 ? whole.format(value) : short.format(value));
export const decimal = (value) => (value === null || value === undefined ? "–" : one.format(value));

function moneyFormat(currency, notation) {
  const key = `${currency} ${notation}`;
  if (!moneys.has(key)) {
    const options = { style: "currency", currency, notation };
    if (notation === "compact") options.maximumFractionDigits = 1;
    moneys.set(key, new Intl.NumberFormat(undefined, options));
  }
  return moneys.get(key);
}

/** Minor units of a currency as money: 1999 and USD give $19.99, 1999 and JPY ¥1,999. */
export function money(minor, currency, notation = "standard") {
  if (minor === null || minor === undefined) return "–";
  if (!currency) return number(minor);
  const digits = moneyFormat(currency, "standard").resolvedOptions().maximumFractionDigits;
  return moneyFormat(currency, notation).format(minor / 10 ** digits);
}

/** The change against before, with a sign and an arrow; null where there was nothing before. */
export function change(now, before) {
  if (!before) return null;
  const share = (now ?? 0) / before - 1;
  const arrow = share > 0.0005 ? "▲" : share < -0.0005 ? "▼" : "■";
  return { text: `${arrow} ${share > 0 ? "+" : share < 0 ? "−" : ""}${one.format(Math.abs(share) * 100)} %`,
    kind: share > 0.0005 ? "up" : share < -0.0005 ? "down" : "" };
}

export const percent = (share) => (Number.isFinite(share) ? `${one.format(share * 100)} %` : "–");

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const hour = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23", timeZone: "UTC" });

export const dayOf = (text) => (text ? day.format(new Date(text)) : "–");
export const hourOf = (text) => (text ? hour.format(new Date(text)) : "–");
export const momentOf = (text) => (text ? `${moment.format(new Date(text))} UTC` : "–");

/** "12 s", "5 min", "3 h", "2 d" */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 90) return `${s < 10 && s % 1 ? one.format(s) : Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}
