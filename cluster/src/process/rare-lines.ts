import { after } from './guarded-callbacks.ts';
import type { Clock } from '../clock.ts';

/** For how long the lines of one kind are counted together, in milliseconds. */
const LINES_EVERY_MS = 10_000;
/** Where each line names something else that somebody must act on: the first few tell what it is about. */
export const FIRST_LINES = 5;

/** So many of what was left out is named. */
const NAMED = 20;

/** How many lines were left out before one, and what they named, as fields of it; nothing where none was. */
export const leftOut = (
  unsaid: number,
  names: readonly string[] = [],
): { readonly unsaid?: number; readonly unsaidNames?: readonly string[] } =>
  unsaid === 0 ? {} : { unsaid, ...(names.length === 0 ? {} : { unsaidNames: names }) };

/** Writes a line; `unsaid` is how many lines of this kind were left out since the last one, `names` what some of them named. */
export type RareLine = (unsaid: number, names: readonly string[]) => void;

interface Kind {
  sinceMs: number;
  said: number;
  unsaid: number;
  readonly names: Set<string>;
  /** The last line that was left out, which is said in the end where no other one comes. */
  rest: { readonly line: RareLine; readonly timer: NodeJS.Timeout | undefined } | undefined;
}

/**
 * For lines of the log whose number a stranger decides: one in ten seconds of each kind, or a few, with how many were left out
 * before. Metrics count all of them. Kinds are a closed set, such as error codes, since each of them is remembered.
 */
export class RareLines {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #said = new Map<string, Kind>();
  #isClosed = false;

  /** @param atOnce - how many lines of one kind are said in ten seconds */
  constructor(clock: Clock, atOnce = 1) {
    this.#clock = clock;
    this.#atOnce = atOnce;
  }

  /** @param name - what the line is about, such as the id of a media node: told where the line itself is left out */
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

  /** Says what was left out, and from then on nothing more by itself. Call it when the process, or the owner, ends. */
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
      // The clock decides, and a timer may come before it.
      const isDue = this.#clock.monotonicMs() - last.sinceMs >= LINES_EVERY_MS;
      if (isDue) this.#sayRest(kind, last);
      else if (last.rest !== undefined) last.rest = { ...last.rest, timer: this.#restLater(kind, last) };
    }).unref();
  }

  /** No other line came that could tell of those that were left out. */
  #sayRest(kind: string, last: Kind): void {
    const { rest } = last;
    if (rest === undefined || this.#said.get(kind) !== last) return;
    last.unsaid -= 1;
    this.#begin(kind, last, rest.line);
  }
}
