import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import { RECONNECT_BACKOFF, fullJitterMs } from './backoff.ts';
import type { EdgeLink } from './rpc.ts';

/** How long to wait until no request is pending on the current connection, in milliseconds. */
const IDLE_WITHIN_MS = 2_000;
/** How long pending requests may then take while new requests are held back, in milliseconds. */
const ANSWERED_WITHIN_MS = 500;
/** Time limit for the resume at the other edge, in milliseconds: new requests are held back meanwhile. */
const RESUMED_WITHIN_MS = 2_000;

/** A connection that is being opened beside the current one. */
export interface Candidate {
  readonly link: EdgeLink;
  /** Rejects when the connection could not be opened. */
  readonly opened: Promise<void>;
}

export interface HandoverEnvironment {
  /** The current connection, whose edge will stop. */
  readonly from: EdgeLink;
  /** Opens a connection to the next edge to try; `undefined` while there is none. */
  readonly open: (attempt: number) => Candidate | undefined;
  /** Sends `resume`. When the edge grants it, the connection becomes the current one. */
  readonly resume: (link: EdgeLink) => Promise<void>;
  /** An edge refused the resume or did not answer in time. The current connection goes on. */
  readonly failed: (attempt: FailedHandover) => void;
  /** The current connection broke during the resume, and the other edge did not grant it. */
  readonly lost: (reason: string) => void;
}

export interface FailedHandover {
  readonly edgeUrl: string;
  readonly error: PlenaryError;
  /** Whether the connection was opened. */
  readonly wasOpened: boolean;
  /** Whether `resume` was sent: the edge may still grant it. */
  readonly wasAsked: boolean;
}

/**
 * Moves a session from an edge that will stop to another one, make before break (SPEC DR5, DR20). The next connection opens while the
 * current one goes on. When it is open and pending requests are answered, new requests are held back until the session is resumed on it.
 * After a failure the handover tries another edge, and the held requests go over the current connection.
 */
export class Handover {
  readonly #environment: HandoverEnvironment;
  readonly #held: (() => void)[] = [];
  #candidate: EdgeLink | undefined;
  #phase: 'opening' | 'draining' | 'resuming' | 'over' = 'opening';
  /** Why the current connection broke during the resume. */
  #closeReason: string | undefined;
  #wake: (() => void) | undefined;

  constructor(environment: HandoverEnvironment) {
    this.#environment = environment;
  }

  /** Begins the handover. Handles its own errors. */
  start(): void {
    void this.#run();
  }

  /** The connection that is to become the current one. */
  get candidate(): EdgeLink | undefined {
    return this.#candidate;
  }

  /** Whether new requests are held back until it is decided which connection carries them. */
  get holds(): boolean {
    return this.#phase === 'draining' || this.#phase === 'resuming';
  }

  /** Holds a request back until it is decided which connection carries it. */
  hold<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    return new Promise((resolve) => {
      this.#held.push(() => {
        resolve(send());
      });
    });
  }

  /**
   * Notes that the current connection ended.
   *
   * @returns whether the loss can be ignored for now: a resume is pending, and the other edge may have caused the end
   */
  currentClosed(reason: string): boolean {
    if (this.#phase !== 'resuming') return false;
    this.#closeReason ??= reason;
    return true;
  }

  /** Ends the handover with success: the candidate is the current connection and carries the held requests. */
  finish(): void {
    this.#phase = 'over';
    this.#release();
  }

  /** Cancels the handover: the held requests go over the current connection, if there is one, or fail. */
  cancel(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#wake?.();
    this.#candidate?.close();
    this.#release();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      // The jitter spreads thousands of clients that leave one edge. Nobody waits for a handover.
      await this.#sleep(fullJitterMs(attempt, RECONNECT_BACKOFF, Math.random()));
      if (this.#isOver()) return;
      const candidate = this.#environment.open(attempt);
      if (candidate === undefined) continue;
      this.#candidate = candidate.link;
      const progress = { wasOpened: false, wasAsked: false };
      try {
        await this.#moveTo(candidate, progress);
        return;
      } catch (thrown) {
        if (this.#isOver()) return;
        candidate.link.close();
        this.#candidate = undefined;
        this.#phase = 'opening';
        const error = toPlenaryError(thrown);
        this.#environment.failed({ edgeUrl: candidate.link.url, error, ...progress });
        if (this.#closeReason !== undefined) {
          this.#environment.lost(this.#closeReason);
          return;
        }
        this.#release();
      }
    }
  }

  async #moveTo(
    { link, opened }: Candidate,
    progress: { wasOpened: boolean; wasAsked: boolean },
  ): Promise<void> {
    await opened;
    progress.wasOpened = true;
    const { from } = this.#environment;
    // New requests are not held back while slow requests may still be answered.
    await from.whenIdle(IDLE_WITHIN_MS);
    if (this.#isOver()) return;
    this.#phase = 'draining';
    await from.whenIdle(ANSWERED_WITHIN_MS);
    if (this.#isOver()) return;
    this.#phase = 'resuming';
    progress.wasAsked = true;
    const timer = setTimeout(() => {
      link.close();
    }, RESUMED_WITHIN_MS);
    try {
      await this.#environment.resume(link);
    } finally {
      clearTimeout(timer);
    }
  }

  #isOver(): boolean {
    return this.#phase === 'over';
  }

  #release(): void {
    for (const send of this.#held.splice(0)) send();
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
