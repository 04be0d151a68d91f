interface Span {
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * Names that were seen in the registry: of more than `max` names, those that have been there longest. An attacker who can write
 * to the registry may invent any number of names each second; they displace no name that was there before (SPEC EN44).
 */
export class LongestSeen<Name extends string> {
  readonly #max: number;
  #spans: ReadonlyMap<Name, Span> = new Map();

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes the names that a read of the registry returned. */
  onRead(names: Iterable<Name>, nowMs: number): void {
    const spans = new Map(this.#spans);
    for (const name of names) spans.set(name, { firstMs: this.firstSeenMs(name) ?? nowMs, lastMs: nowMs });
    const forMs = ({ firstMs, lastMs }: Span): number => lastMs - firstMs;
    this.#spans =
      spans.size <= this.#max
        ? spans
        : new Map([...spans].sort(([, left], [, right]) => forMs(right) - forMs(left)).slice(0, this.#max));
  }

  /** Forgets names that were last seen before the given time. */
  forgetBefore(ms: number): void {
    this.#spans = new Map([...this.#spans].filter(([, { lastMs }]) => lastMs >= ms));
  }

  all(): readonly Name[] {
    return [...this.#spans.keys()];
  }

  /** @returns `undefined` for a name that is not remembered */
  firstSeenMs(name: Name): number | undefined {
    return this.#spans.get(name)?.firstMs;
  }
}
