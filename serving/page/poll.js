// Asks for one panel again and again, as long as somebody looks at the page.

import { get, Refused } from "/assets/api.js";

const LONGEST_MS = 60000;

export class Poll {
  /**
   * `path()` gives the path, or null for none; `show(body)` is called with what has changed,
   * `tell(error)` after each answer, with null where all is well.
   */
  constructor(path, everyMs, show, tell) {
    Object.assign(this, { path, everyMs, show, tell, failures: 0, tag: null, asked: null });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.now(); });
  }

  /** Ask at once, whatever is under way. */
  now() {
    clearTimeout(this.timer);
    this.aborted?.abort();
    this.aborted = new AbortController();
    this.once(this.aborted.signal);
  }

  async once(signal) {
    const path = this.path();
    if (path === null) return;
    if (path !== this.asked) this.tag = null;
    this.asked = path;
    let waits = this.everyMs;
    try {
      const answer = await get(path, { tag: this.tag, signal });
      if (signal.aborted) return;
      if (answer) {
        this.show(answer.body);
        this.tag = answer.tag;
      }
      this.failures = 0;
      this.tell(null);
    } catch (error) {
      if (signal.aborted) return;
      this.failures += 1;
      waits = Math.min(LONGEST_MS, this.everyMs * 2 ** this.failures);
      if (error instanceof Refused) waits = Math.max(waits, error.waits || 0);
      this.tell(error);
    }
    if (!document.hidden) this.timer = setTimeout(() => this.now(), waits);
  }
}
