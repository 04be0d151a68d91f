/**
 * When each edge, or each media node, was last seen in the registry. All ids of the last read are kept. Of the missing ids the
 * newest `max` are remembered, because an attacker who can write to the registry may add new ids each second (SPEC EN45).
 */
export class LastSeen<Id extends string> {
  readonly #max: number;
  #present: ReadonlySet<Id> = new Set();
  #presentAtMs = Number.NEGATIVE_INFINITY;
  readonly #gone = new Map<Id, number>();
  /** No forgotten id was seen after this time. */
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes the ids that a read of the registry returned. */
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

  /** Forgets ids that were last seen before the given time. */
  forgetBefore(ms: number): void {
    for (const [id, atMs] of this.#gone) if (atMs < ms) this.#gone.delete(id);
  }

  /** @returns `undefined` for an id that the last read contains; otherwise a time after which it was not seen */
  goneSinceMs(id: Id): number | undefined {
    return this.#present.has(id) ? undefined : (this.#gone.get(id) ?? this.#forgottenUntilMs);
  }
}
