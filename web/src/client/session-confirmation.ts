import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientLog } from './counters.ts';
import type { RequestEdge } from './request-edge.ts';

/**
 * Within which time the token of a resume is confirmed, in milliseconds. The edge that gave it may be taking up thousands
 * whose edge died, and those still wait; until then the older token resumes too, with the same key.
 */
const CONFIRM_WITHIN_MS = 15_000;

export interface SessionConfirmationEnvironment {
  readonly request: RequestEdge;
  /** The newest token, while an edge listens; where the connection broke, the next resume tells it. */
  readonly token: () => string | undefined;
  readonly log: ClientLog;
}

/** Tells the edge that a session token arrived: from then on the edges take no older one. */
export class SessionConfirmation {
  readonly #environment: SessionConfirmationEnvironment;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(environment: SessionConfirmationEnvironment) {
    this.#environment = environment;
  }

  /** Tells it at some time soon. */
  tellLater(): void {
    this.stop();
    this.#timer = setTimeout(() => {
      const token = this.#environment.token();
      if (token !== undefined) this.tell(token);
    }, Math.random() * CONFIRM_WITHIN_MS);
  }

  /** Tells it now. Where it cannot be told, the next resume tells it. */
  tell(sessionToken: string): void {
    this.#environment.request('session.confirm', { sessionToken }).catch((thrown: unknown) => {
      this.#environment.log.warn('the session token could not be confirmed', toPlenaryError(thrown).message);
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
