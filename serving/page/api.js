// Requests to the API of the same process, with its key if it asks for one.

import { byId } from "/assets/dom.js";

const PLACE = "lakehouse-key";
let asking = null;

/** Milliseconds that the server's clock is ahead of this one. */
export const clock = { ahead: 0, now: () => Date.now() + clock.ahead };

export class Refused extends Error {
  constructor(status, problem, waits) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.waits = waits;
  }
}

function ask(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("key-dialog");
    const form = byId("key-form");
    if (why) byId("key-why").textContent = why;
    form.addEventListener("submit", () => {
      sessionStorage.setItem(PLACE, form.elements.key.value.trim());
      form.reset();
      asking = null;
      resolve();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

/**
 * What a path answers: `{ body, tag }`, or null where it still is what `tag` stands for.
 * Asks the person for a key where the server does, and again where that key does not fit.
 */
export async function get(path, { tag, signal } = {}) {
  for (;;) {
    if (asking) await asking;
    const key = sessionStorage.getItem(PLACE);
    const headers = {};
    if (tag) headers["If-None-Match"] = tag;
    if (key) headers.Authorization = `Bearer ${key}`;
    const answer = await fetch(path, { headers, signal, cache: "no-store" });
    const date = Date.parse(answer.headers.get("date"));
    if (date) clock.ahead = date - Date.now();
    if (answer.status === 304) return null;
    if (answer.ok) return { body: await answer.json(), tag: answer.headers.get("etag") };
    const problem = await answer.json().catch(() => ({}));
    if (answer.status !== 401 && answer.status !== 403) {
      throw new Refused(answer.status, problem, Number(answer.headers.get("retry-after")) * 1000);
    }
    if (key === sessionStorage.getItem(PLACE)) {
      await ask(answer.status === 403 ? `${problem.detail}; give one with the scope dashboard.`
        : key && "That key is not valid, or no longer.");
    }
  }
}
