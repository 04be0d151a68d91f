// @ts-check

/**
 * A duration for people: `0.4s`, `12s`, `1m05s`.
 * @param {number} ms
 */
export function formatDuration(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}

/** How often a step that is not done says so where the output is no terminal (a CI log). */
const REMINDER_MS = 30_000;

/**
 * Shows the steps as they go: on a terminal one line that changes in place, elsewhere a line at the start, a
 * reminder now and then, and a line at the end.
 */
export class Progress {
  #index = 0;
  #total;
  #out;
  #startedAt = 0;
  #title = '';
  #detail = '';
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /**
   * @param {number} [total] number of steps
   * @param {NodeJS.WriteStream} [out]
   */
  constructor(total = 1, out = process.stdout) {
    this.#total = total;
    this.#out = out;
  }

  /** @param {string} title @param {string} detail what is being done */
  start(title, detail) {
    this.#index += 1;
    this.#title = title;
    this.#detail = detail;
    this.#startedAt = Date.now();
    if (this.#out.isTTY) {
      this.#draw();
      this.#timer = setInterval(() => this.#draw(), 1000);
    } else {
      this.#out.write(`${this.#prefix()} … ${detail}\n`);
      this.#timer = setInterval(() => this.#out.write(`${this.#line()}\n`), REMINDER_MS);
    }
  }

  /** Says what the step is doing now. @param {string} detail */
  detail(detail) {
    this.#detail = detail;
    if (this.#out.isTTY) this.#draw();
  }

  /** A line that stays, without ending the step. @param {string} text */
  note(text) {
    this.#clear();
    this.#out.write(`      ${text}\n`);
    if (this.#out.isTTY) this.#draw();
  }

  /** @param {string} outcome */
  done(outcome) {
    this.#end(`${outcome} (${formatDuration(Date.now() - this.#startedAt)})`);
  }

  /** Ends the step that failed; its error is printed by the caller. */
  failed() {
    if (this.#timer !== undefined) this.#end(`failed after ${formatDuration(Date.now() - this.#startedAt)}`);
  }

  /** @param {string} text */
  #end(text) {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
    this.#out.write(`${this.#prefix()} … ${text}\n`);
  }

  #prefix() {
    return `[${this.#index}/${this.#total}] ${this.#title}`;
  }

  #line() {
    return `${this.#prefix()} … ${this.#detail} (${formatDuration(Date.now() - this.#startedAt)})`;
  }

  #clear() {
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K');
  }

  #draw() {
    this.#clear();
    const width = this.#out.columns ?? 80;
    this.#out.write(this.#line().slice(0, Math.max(20, width - 1)));
  }
}
