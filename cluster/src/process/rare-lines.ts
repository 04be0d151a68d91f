import { after } from './guarded-callbacks.ts';
import type { Clock } from '../clock.ts';

/** How long the lines of one kind are counted together, in milliseconds. */
const LINES_EVERY_MS = 10_000;
/** The number of lines that are written at once if each names something else that somebody must act on. */
export const FIRST_LINES = 5;

/** The largest number of names of omitted lines in one line. */
const NAMED = 20;

/** Log fields with the number of omitted lines and their names; empty if none was omitted. */
export const leftOut = (
  unsaid: number,
  names: readonly string[] = [],
): { readonly unsaid?: number; readonly unsaidNames?: readonly string[] } =>
  unsaid === 0 ? {} : { unsaid, ...(names.length === 0 ? {} : { unsaidNames: names }) };

/**
 * Writes a line; `unsaid` is the number of lines of this kind that were omitted since the last one, `names` contains
 * some of their names.
 */
export type RareLine = (unsaid: number, names: readonly string[]) => void;

interface Kind {
  sinceMs: number;
  said: number;
  unsaid: number;
  readonly names: Set<string>;
  /** The last omitted line: it is written at the end of the time if no other line follows. */
  rest: { readonly line: RareLine; readonly timer: NodeJS.Timeout | undefined } | undefined;
}

/**
 * Limits log lines whose number a stranger decides: one (or a few) in ten seconds of each kind, with the number of
 * lines omitted before. Metrics count all of them. Kinds are a closed set, such as error codes, since each of them is
 * remembered.
 */
export class RareLines {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #said = new Map<string, Kind>();
  #isClosed = false;

  /** @param atOnce - the number of lines of one kind that are written in ten seconds */
  constructor(clock: Clock, atOnce = 1) {
    this.#clock = clock;
    this.#atOnce = atOnce;
  }

  /** @param name - the subject of the line, such as the id of a media node: reported even if the line itself is omitted */
  say(kind: string, line: RareLine, name?: string): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#said.get(kind);
    if (last === undefined || nowMs - last.sinceMs >= LINES_EVERY_MS) {
      this.#begin(kind, last, line);
    } else if (last.said < this.#atOnce) {
      last.said += 1;
      line(0, []);
    } else {
      last.unsaid += 1;
      if (name !== undefined && last.names.size < NAMED) last.names.add(name);
      last.rest = { line, timer: last.rest?.timer ?? this.#restLater(kind, last) };
    }
  }

  /** Writes what was omitted, and sets no more timers. Call it when the process, or the owner, ends. */
  close(): void {
    for (const [kind, last] of [...this.#said]) this.#sayRest(kind, last);
    this.#isClosed = true;
  }

  #begin(kind: string, last: Kind | undefined, line: RareLine): void {
    clearTimeout(last?.rest?.timer);
    const sinceMs = this.#clock.monotonicMs();
    this.#said.set(kind, { sinceMs, said: 1, unsaid: 0, names: new Set(), rest: undefined });
    line(last?.unsaid ?? 0, [...(last?.names ?? [])]);
  }

  #restLater(kind: string, last: Kind): NodeJS.Timeout | undefined {
    if (this.#isClosed) return undefined;
    const restMs = last.sinceMs + LINES_EVERY_MS - this.#clock.monotonicMs();
    return after(restMs, () => {
      // A timer may fire before its time by the clock; the clock decides.
      const isDue = this.#clock.monotonicMs() - last.sinceMs >= LINES_EVERY_MS;
      if (isDue) this.#sayRest(kind, last);
      else if (last.rest !== undefined) last.rest = { ...last.rest, timer: this.#restLater(kind, last) };
    }).unref();
  }

  /** Writes the last omitted line if no other line came. */
  #sayRest(kind: string, last: Kind): void {
    const { rest } = last;
    if (rest === undefined || this.#said.get(kind) !== last) return;
    last.unsaid -= 1;
    this.#begin(kind, last, rest.line);
  }
}
