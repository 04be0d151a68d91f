/** The steps from `join()` to the first frame, in their usual order. */
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
 * Completion time of each step of the join, in milliseconds since `join()`. A step that was done earlier, such as a socket opened by
 * `prepare()`, is 0. A step that has not happened is absent.
 */
export type JoinTimings = Readonly<Partial<Record<JoinStep, number>>>;

/** Collects {@link JoinTimings} of one join, and sets `performance` marks for the browser's tools. */
export class JoinClock {
  #startedAtMs: number | undefined;
  #timings: Partial<Record<JoinStep, number>> = {};

  /** Begins a new join. Steps that `prepare` noted before it are kept and count as done at 0. */
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
