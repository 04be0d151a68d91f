/**
 * When each of one kind was seen last. Those that the last reading contains are as many as it has; of those that are gone the
 * newest `max` are remembered, since whoever writes into the registry may write new ones each second (SPEC EN13).
 */
export class LastSeen<Id extends string> {
  readonly #max: number;
  #present: ReadonlySet<Id> = new Set();
  #presentAtMs = Number.NEGATIVE_INFINITY;
  readonly #gone = new Map<Id, number>();
  /** None of those that were forgotten was seen later. */
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes who is there. */
  onRead(ids: Iterable<Id>, nowMs: number): void {
    const present = new Set(ids);
    for (const id of this.#present) if (!present.has(id)) this.#gone.set(id, this.#presentAtMs);
    for (const id of present) this.#gone.delete(id);
    this.#present = present;
    this.#presentAtMs = nowMs;
    for (const [id, atMs] of this.#gone) {
      if (this.#gone.size <= this.#max) break;
      this.#gone.delete(id);
      this.#forgottenUntilMs = atMs;
    }
  }

  /** Forgets those that were seen last before a time. */
  forgetBefore(ms: number): void {
    for (const [id, atMs] of this.#gone) if (atMs < ms) this.#gone.delete(id);
  }

  /** @returns `undefined` for one that the last reading contains; else a time after which it was not seen */
  goneSinceMs(id: Id): number | undefined {
    return this.#present.has(id) ? undefined : (this.#gone.get(id) ?? this.#forgottenUntilMs);
  }
}
