/** Silence after which an edge with an unanswered request is probed, in milliseconds. */
export const PROBE_AFTER_MS = 1_500;
/** Time limit for any message after a probe, in milliseconds. */
export const ANSWER_WITHIN_MS = 1_500;
/**
 * Silence after which an edge without an unanswered request is probed, in milliseconds. An edge usually sends a notice every 1.5 seconds
 * in a room. While the store is down it sends none, so all clients of the room may probe it: the spread separates them.
 */
export const QUIET_AFTER_MS = 3_500;
const QUIET_SPREAD_MS = 1_000;

export interface LivenessProbeEnvironment {
  /** When the oldest unanswered request was sent, by `performance.now()`; `undefined` without one. */
  readonly oldestRequestMs: () => number | undefined;
  /** Sends a request that the edge can answer without store and media node. */
  readonly probe: () => void;
  /** Called when nothing arrived after a probe. */
  readonly silent: () => void;
}

/**
 * Finds out whether an edge that does not answer is slow, for example because the store hangs, or down (SPEC SE19, SE55), and whether a
 * silent edge without requests is alive (SE20). Sends no probe while messages arrive from the edge, and one probe at a time. Its owner
 * stops it.
 */
export class LivenessProbe {
  readonly #environment: LivenessProbeEnvironment;
  #lastReceivedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isProbing = false;
  /** Silence after which the edge is probed although every request is answered; `undefined` while no notices are expected. */
  #quietAfterMs: number | undefined;

  constructor(environment: LivenessProbeEnvironment) {
    this.#environment = environment;
  }

  /** Notes that a request was sent. */
  requestSent(): void {
    this.#timer ??= setTimeout(this.#check, PROBE_AFTER_MS);
  }

  /** Expects periodic notices from now on, because the edge has begun to send them. */
  expectNotices(): void {
    this.#quietAfterMs ??= QUIET_AFTER_MS + Math.random() * QUIET_SPREAD_MS;
    this.requestSent();
  }

  /** Notes that every request is answered. */
  allAnswered(): void {
    this.#reset();
    if (this.#quietAfterMs !== undefined) this.requestSent();
  }

  /** Notes that a message arrived. */
  received(): void {
    this.#lastReceivedMs = performance.now();
    if (!this.#isProbing) return;
    this.#reset();
    this.requestSent();
  }

  stop(): void {
    this.#quietAfterMs = undefined;
    this.#reset();
  }

  #reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isProbing = false;
  }

  /** When the next probe is due, by `performance.now()`; `undefined` while the edge may be silent. */
  #dueMs(): number | undefined {
    const oldestMs = this.#environment.oldestRequestMs();
    if (oldestMs !== undefined) return Math.max(oldestMs, this.#lastReceivedMs) + PROBE_AFTER_MS;
    return this.#quietAfterMs === undefined ? undefined : this.#lastReceivedMs + this.#quietAfterMs;
  }

  readonly #check = (): void => {
    this.#timer = undefined;
    const dueMs = this.#dueMs();
    if (dueMs === undefined) return;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) {
      // A request may be sent meanwhile, so the timer runs no longer than a request may stay unanswered.
      this.#timer = setTimeout(this.#check, Math.min(waitMs, PROBE_AFTER_MS));
      return;
    }
    this.#isProbing = true;
    // If this page itself was suspended, the answer may be waiting in the event queue: the second timer lets it be read first.
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(this.#declareSilent, 0);
    }, ANSWER_WITHIN_MS);
    this.#environment.probe();
  };

  readonly #declareSilent = (): void => {
    this.#reset();
    this.#environment.silent();
  };
}
