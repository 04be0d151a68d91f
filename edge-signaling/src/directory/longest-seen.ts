interface Span {
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * What was seen in the registry, of more than `max` what has been there longest: whoever writes into it may make up as much as
 * they like each second, and none of that takes the place of what was there before (SPEC EN13).
 */
export class LongestSeen<Name extends string> {
  readonly #max: number;
  #spans: ReadonlyMap<Name, Span> = new Map();

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes what is there. */
  onRead(names: Iterable<Name>, nowMs: number): void {
    const spans = new Map(this.#spans);
    for (const name of names) spans.set(name, { firstMs: this.firstSeenMs(name) ?? nowMs, lastMs: nowMs });
    const forMs = ({ firstMs, lastMs }: Span): number => lastMs - firstMs;
    this.#spans =
      spans.size <= this.#max
        ? spans
        : new Map([...spans].sort(([, left], [, right]) => forMs(right) - forMs(left)).slice(0, this.#max));
  }

  /** Forgets what was seen last before a time. */
  forgetBefore(ms: number): void {
    this.#spans = new Map([...this.#spans].filter(([, { lastMs }]) => lastMs >= ms));
  }

  all(): readonly Name[] {
    return [...this.#spans.keys()];
  }

  /** @returns `undefined` of what is not remembered */
  firstSeenMs(name: Name): number | undefined {
    return this.#spans.get(name)?.firstMs;
  }
}
