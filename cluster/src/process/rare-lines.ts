import type { Clock } from '../clock.ts';

/** For how long the lines of one kind are counted together, in milliseconds. */
const LINES_EVERY_MS = 10_000;
/** Where each line names something else that somebody must act on: the first few tell what it is about. */
export const FIRST_LINES = 5;

/** How many lines were left out before one, as its field; nothing where none was. */
export const leftOut = (unsaid: number): { readonly unsaid?: number } => (unsaid === 0 ? {} : { unsaid });

/**
 * For lines of the log whose number a stranger decides: one in ten seconds of each kind, or a few, with how many were left out
 * before. Metrics count all of them. Kinds are a closed set, such as error codes, since each of them is remembered.
 */
export class RareLines {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #said = new Map<string, { readonly sinceMs: number; said: number; unsaid: number }>();

  /** @param atOnce - how many lines of one kind are said in ten seconds */
  constructor(clock: Clock, atOnce = 1) {
    this.#clock = clock;
    this.#atOnce = atOnce;
  }

  /** @param say - writes the line; `unsaid` is how many lines of this kind were left out since the last one */
  say(kind: string, say: (unsaid: number) => void): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#said.get(kind);
    if (last === undefined || nowMs - last.sinceMs >= LINES_EVERY_MS) {
      this.#said.set(kind, { sinceMs: nowMs, said: 1, unsaid: 0 });
      say(last?.unsaid ?? 0);
    } else if (last.said < this.#atOnce) {
      last.said += 1;
      say(0);
    } else last.unsaid += 1;
  }
}
