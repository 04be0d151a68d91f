import type { Clock } from '../clock.ts';

/** Lines of one kind are this far apart, however many there would be. */
const LINE_EVERY_MS = 10_000;

/**
 * For lines of the log whose number a stranger decides: one in ten seconds of each kind, with how many were left out since the
 * last one. Metrics count all of them. Kinds are a closed set, such as error codes, since each of them is remembered.
 */
export class RareLines {
  readonly #clock: Clock;
  readonly #said = new Map<string, { readonly atMs: number; unsaid: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param say - writes the line; `unsaid` is how many lines of this kind were left out since the last one */
  say(kind: string, say: (unsaid: number) => void): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#said.get(kind);
    if (last !== undefined && nowMs - last.atMs < LINE_EVERY_MS) {
      last.unsaid += 1;
      return;
    }
    this.#said.set(kind, { atMs: nowMs, unsaid: 0 });
    say(last?.unsaid ?? 0);
  }
}
