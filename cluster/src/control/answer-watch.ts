import { setTimeout as pause } from 'node:timers/promises';
import { toPlenaryError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { inBackground } from '../process/guarded-callbacks.ts';

/** How long a node that let a request time out has to answer a cheap question, in milliseconds (SPEC HL10). */
export const QUESTION_TIMEOUT_MS = 2_000;

/** The errors of an unanswered request; every other error is an answer. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['timed_out', 'media_unavailable']);

/** The pause between two questions to a mute node, in milliseconds, in addition to the time for each answer. */
const PAUSE_MS = 100;

/**
 * The number of unanswered questions in a row that make a node mute. One is not enough: a process that was stopped
 * itself sees the time-out before it reads the answer that arrived meanwhile.
 */
const QUESTIONS = 2;

export interface AnswerWatchOptions<About> {
  /** Asks a question that the node can answer at once, whatever its workers and the store do. */
  readonly ask: (about: About) => Promise<unknown>;
  /** A different value for each connection; `undefined` while there is none. */
  readonly connection: () => number | undefined;
  /** Called each time that a node is found to be mute, with the request that raised the doubt. */
  readonly onMute: (about: About) => void;
}

/**
 * Distinguishes a media node that is slow, or lets one request hang, from one that accepts requests and answers none
 * (SPEC HL10). Such a node still sends beats, but it serves nobody.
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

  /** Checks the node after a request that was not answered in time. */
  doubt(about: About): void {
    if (!this.#isAsking && !this.isMute) inBackground(() => this.#judge(about));
  }

  /** Repeats the question to a mute node until it answers. @returns false if the connection ended before that */
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
        // A connection that ended says nothing about the node.
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

/** Whether a question is answered, even with an error. Never rejects. */
export async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (thrown) {
    return !NO_ANSWER.has(toPlenaryError(thrown).code);
  }
}
