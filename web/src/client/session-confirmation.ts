import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientLog } from './counters.ts';
import type { RequestEdge } from './request-edge.ts';

/**
 * Time within which the token of a resume is confirmed, in milliseconds. In a reconnect storm the edge first has to resume clients
 * that still wait. Until the confirmation the older token resumes too, with the same key.
 */
const CONFIRM_WITHIN_MS = 15_000;

export interface SessionConfirmationEnvironment {
  readonly request: RequestEdge;
  /** The newest token, while an edge is connected. After a lost connection the next resume confirms it. */
  readonly token: () => string | undefined;
  readonly log: ClientLog;
}

/** Confirms to the edge that a session token arrived. From then on the edges accept no older one. */
export class SessionConfirmation {
  readonly #environment: SessionConfirmationEnvironment;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(environment: SessionConfirmationEnvironment) {
    this.#environment = environment;
  }

  /** Confirms the token at a random time within 15 s. */
  confirmLater(): void {
    this.stop();
    this.#timer = setTimeout(() => {
      const token = this.#environment.token();
      if (token !== undefined) this.confirm(token);
    }, Math.random() * CONFIRM_WITHIN_MS);
  }

  /** Confirms the token now. If that fails, the next resume confirms it. */
  confirm(sessionToken: string): void {
    this.#environment.request('session.confirm', { sessionToken }).catch((thrown: unknown) => {
      this.#environment.log.warn('the session token could not be confirmed', toPlenaryError(thrown).message);
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
