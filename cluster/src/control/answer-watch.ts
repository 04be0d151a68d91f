import { setTimeout as pause } from 'node:timers/promises';
import { toPlenaryError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { inBackground } from '../process/guarded-callbacks.ts';

/** How long a node that let a request time out has for a question that costs it nothing, in milliseconds (SPEC HL10). */
export const QUESTION_TIMEOUT_MS = 2_000;

/** What a request fails with that was not answered; every other error is an answer. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['timed_out', 'media_unavailable']);

/** Between two questions to a node that is mute, in milliseconds, beside the time that each of them is given. */
const PAUSE_MS = 100;

/**
 * How many questions in a row a mute node leaves without an answer. One is not enough: a process that was stopped itself finds that
 * the time for an answer is up before it reads what came meanwhile.
 */
const QUESTIONS = 2;

export interface AnswerWatchOptions<About> {
  /** Asks what the node can say at once, whatever its workers and the store do. */
  readonly ask: (about: About) => Promise<unknown>;
  /** Another value for each connection; `undefined` while there is none. */
  readonly connection: () => number | undefined;
  /** Told each time that a node is found to answer nothing, and what it was asked last. */
  readonly onMute: (about: About) => void;
}

/**
 * Tells a media node that is slow, or that lets one request hang, from one that takes requests and answers none (SPEC HL10): beats
 * of such a node go on, and nobody can do anything there.
 */
export class AnswerWatch<About extends object> {
  readonly #options: AnswerWatchOptions<About>;
  #isAsking = false;
  #mute: About | undefined;

  constructor(options: AnswerWatchOptions<About>) {
    this.#options = options;
  }

  get isMute(): boolean {
    return this.#mute !== undefined;
  }

  /** A request was not answered in time. */
  doubt(about: About): void {
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

  async #judge(about: About): Promise<void> {
    const { connection, onMute } = this.#options;
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
    onMute(about);
  }

  async #answers(about: About): Promise<boolean> {
    return answers(async () => this.#options.ask(about));
  }
}

/** Whether a question is answered, be it with an error. Never rejects. */
export async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (thrown) {
    return !NO_ANSWER.has(toPlenaryError(thrown).code);
  }
}
