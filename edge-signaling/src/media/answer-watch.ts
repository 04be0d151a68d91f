import { setTimeout as pause } from 'node:timers/promises';
import { inBackground, toPlenaryError } from '@plenary/cluster';
import type { ControlRequestInput, ErrorCode } from '@plenary/cluster';

/** Whom a node is asked about: whether it hosts a peer it can say at once, whatever its workers and the store do. */
export type Question = ControlRequestInput<'peer.ask'>;

/** What a request fails with that was not answered; every other error is an answer. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['timed_out', 'media_unavailable']);

/** Between two questions to a node that is mute, in milliseconds, beside the time that each of them is given. */
const PAUSE_MS = 100;

/**
 * How many questions in a row a mute node leaves without an answer. One is not enough: an edge that was stopped itself finds that the
 * time for an answer is up before it reads what came meanwhile.
 */
const QUESTIONS = 2;

export interface AnswerWatchOptions {
  readonly ask: (about: Question) => Promise<unknown>;
  /** Another value for each connection; `undefined` while there is none. */
  readonly connection: () => number | undefined;
  /** Told each time that a node is found to answer nothing. */
  readonly onMute: () => void;
}

/**
 * Tells a media node that is slow, or that lets one request hang, from one that takes requests and answers none (SPEC HL10): beats
 * of such a node go on, and nobody can do anything there.
 */
export class AnswerWatch {
  readonly #options: AnswerWatchOptions;
  #isAsking = false;
  #mute: Question | undefined;

  constructor(options: AnswerWatchOptions) {
    this.#options = options;
  }

  get isMute(): boolean {
    return this.#mute !== undefined;
  }

  /** A request was not answered in time. */
  doubt(about: Question): void {
    if (!this.#isAsking && !this.isMute) inBackground(() => this.#judge(about));
  }

  /** Asks a node that was mute until it answers. @returns false when the connection ended before that */
  async untilAnswered(): Promise<boolean> {
    const connection = this.#options.connection();
    const isCurrent = (): boolean => connection !== undefined && connection === this.#options.connection();
    while (this.#mute !== undefined && isCurrent()) {
      if (await this.#answers(this.#mute)) this.#mute = undefined;
      else await pause(PAUSE_MS);
    }
    return isCurrent();
  }

  async #judge({ roomId, peerId, epoch }: Question): Promise<void> {
    const { connection, onMute } = this.#options;
    const about = { roomId, peerId, epoch };
    const asked = connection();
    if (asked === undefined) return;
    this.#isAsking = true;
    try {
      for (let question = 0; question < QUESTIONS; question += 1) {
        const answers = await this.#answers(about);
        // A connection that ended says nothing of the node.
        if (answers || asked !== connection()) return;
      }
    } finally {
      this.#isAsking = false;
    }
    this.#mute = about;
    onMute();
  }

  /** Never rejects. */
  async #answers(about: Question): Promise<boolean> {
    try {
      await this.#options.ask(about);
      return true;
    } catch (thrown) {
      return !NO_ANSWER.has(toPlenaryError(thrown).code);
    }
  }
}
