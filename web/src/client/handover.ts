import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import { RECONNECT_BACKOFF, fullJitterMs } from './backoff.ts';
import type { EdgeLink } from './rpc.ts';

/** How long a moment is waited for at which nothing is under way on the connection in use, in milliseconds. */
const SETTLED_WITHIN_MS = 2_000;
/** How long what is under way then may take to be answered while every button waits, in milliseconds. */
const ANSWERED_WITHIN_MS = 500;
/** How long the other edge may take to take the session up, in milliseconds: meanwhile every button waits. */
const RESUMED_WITHIN_MS = 2_000;

/** A connection that is being opened beside the one in use. */
export interface Candidate {
  readonly link: EdgeLink;
  /** Rejects when it could not be opened. */
  readonly opened: Promise<void>;
}

export interface HandoverEnvironment {
  /** The connection in use, whose edge will go. */
  readonly from: EdgeLink;
  /** Opens a connection to the edge that is to be tried next; `undefined` while there is none. */
  readonly open: (attempt: number) => Candidate | undefined;
  /** Sends `resume`; once that is granted, the connection is the one in use. */
  readonly resume: (link: EdgeLink) => Promise<void>;
  /** An edge did not take the session up, or did not say so in time; the connection in use goes on. */
  readonly failed: (attempt: FailedHandover) => void;
  /** The connection in use broke while the other edge was asked, and that one did not take the session up. */
  readonly lost: (reason: string) => void;
}

export interface FailedHandover {
  readonly edgeUrl: string;
  readonly error: PlenaryError;
  /** Whether anybody answered there. */
  readonly wasOpened: boolean;
  /** Whether it was asked: it may take the session up yet. */
  readonly wasAsked: boolean;
}

/**
 * Takes a session from an edge that will go to another one, make before break (SPEC DR5, DR20): the next connection is opened
 * while the one in use goes on; only when it is open, and what was asked before is answered, do new requests wait, until the
 * session is resumed on it. What fails is tried again elsewhere, and the requests that waited go over the connection in use.
 */
export class Handover {
  readonly #environment: HandoverEnvironment;
  readonly #held: (() => void)[] = [];
  #candidate: EdgeLink | undefined;
  #phase: 'opening' | 'settling' | 'resuming' | 'over' = 'opening';
  /** Why the connection in use broke while the other edge was asked. */
  #brokenBy: string | undefined;
  #wake: (() => void) | undefined;

  constructor(environment: HandoverEnvironment) {
    this.#environment = environment;
  }

  /** Begins. Handles its own errors. */
  start(): void {
    void this.#run();
  }

  /** The connection that is to be the next one in use. */
  get candidate(): EdgeLink | undefined {
    return this.#candidate;
  }

  /** Whether requests are to wait, since it is being decided over which connection they go. */
  get holds(): boolean {
    return this.#phase === 'settling' || this.#phase === 'resuming';
  }

  /** Keeps a request until it is decided over which connection it goes. */
  hold<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    return new Promise((resolve) => {
      this.#held.push(() => {
        resolve(send());
      });
    });
  }

  /**
   * The connection in use ended.
   *
   * @returns whether that is no loss yet: the other edge is being asked, and may be what ended it
   */
  leftBehind(reason: string): boolean {
    if (this.#phase !== 'resuming') return false;
    this.#brokenBy ??= reason;
    return true;
  }

  /** The candidate is the connection in use: what waited goes over it. */
  finish(): void {
    this.#phase = 'over';
    this.#release();
  }

  /** Gives up: what waited goes, or fails, by whatever connection is in use now. */
  cancel(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#wake?.();
    this.#candidate?.close();
    this.#release();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      // Nobody waits for this: thousands that leave one edge come spread out.
      await this.#sleep(fullJitterMs(attempt, RECONNECT_BACKOFF, Math.random()));
      if (this.#isOver()) return;
      const candidate = this.#environment.open(attempt);
      if (candidate === undefined) continue;
      this.#candidate = candidate.link;
      const progress = { wasOpened: false, wasAsked: false };
      try {
        await this.#goTo(candidate, progress);
        return;
      } catch (thrown) {
        if (this.#isOver()) return;
        candidate.link.close();
        this.#candidate = undefined;
        this.#phase = 'opening';
        const error = toPlenaryError(thrown);
        this.#environment.failed({ edgeUrl: candidate.link.url, error, ...progress });
        if (this.#brokenBy !== undefined) {
          this.#environment.lost(this.#brokenBy);
          return;
        }
        this.#release();
      }
    }
  }

  async #goTo(
    { link, opened }: Candidate,
    progress: { wasOpened: boolean; wasAsked: boolean },
  ): Promise<void> {
    await opened;
    progress.wasOpened = true;
    const { from } = this.#environment;
    // What is slow holds up nobody, as long as it is not known that it is slower than that.
    await from.settled(SETTLED_WITHIN_MS);
    if (this.#isOver()) return;
    this.#phase = 'settling';
    await from.settled(ANSWERED_WITHIN_MS);
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
