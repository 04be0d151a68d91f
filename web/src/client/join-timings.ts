/** The steps from `join()` to the first picture, in the order in which they usually come. */
export const JOIN_STEPS = [
  'prepared',
  'socketOpen',
  'joinSent',
  'joinAnswered',
  'transportsCreated',
  'consumed',
  'iceConnected',
  'dtlsConnected',
  'firstFrame',
  'sendConnected',
  'published',
] as const;
export type JoinStep = (typeof JOIN_STEPS)[number];

/**
 * When each step of the join was done, in milliseconds since `join()` was called; a step that was done before, such as
 * a socket opened by `prepare()`, is 0. A step that has not happened is absent.
 */
export type JoinTimings = Readonly<Partial<Record<JoinStep, number>>>;

/** Collects {@link JoinTimings} of one join, and leaves `performance` marks for the browser's own tools. */
export class JoinClock {
  #startedAtMs: number | undefined;
  #timings: Partial<Record<JoinStep, number>> = {};

  /** Begins a new join. Steps noted since the last one (by `prepare`) are kept and count as done at 0. */
  start(): void {
    const early = this.#startedAtMs === undefined ? Object.keys(this.#timings) : [];
    this.#startedAtMs = performance.now();
    this.#timings = Object.fromEntries(early.map((step) => [step, 0]));
    performance.mark('plenary:join');
  }

  /** Notes a step; only its first time counts. */
  note(step: JoinStep): void {
    if (this.#timings[step] !== undefined) return;
    this.#timings[step] = this.#startedAtMs === undefined ? 0 : performance.now() - this.#startedAtMs;
    performance.mark(`plenary:${step}`);
  }

  has(step: JoinStep): boolean {
    return this.#timings[step] !== undefined;
  }

  get timings(): JoinTimings {
    return { ...this.#timings };
  }
}
