import { every } from '@plenary/cluster';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from '../entry/session.ts';

/** How often sessions are checked, and so how long a move may take before it is requested again, in milliseconds. */
export const REMIND_MS = 10_000;

/**
 * Requests a move again from clients whose move has begun but not ended. Their node may not repeat the request: no node
 * admitted them, the answer was lost, or the node serves again. A begun move is placed, so it has to be completed (SPEC EP14).
 */
export class MoveReminder {
  readonly #localRooms: Pick<LocalRooms, 'sessions'>;
  /** The sessions that were moving at the last check. */
  #moving = new Set<Session>();
  #timer: NodeJS.Timeout | undefined;

  constructor(localRooms: Pick<LocalRooms, 'sessions'>) {
    this.#localRooms = localRooms;
  }

  start(): void {
    this.#timer = every(REMIND_MS, () => {
      this.#check();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const moving = new Set<Session>();
    for (const session of this.#localRooms.sessions()) {
      const epoch = session.toLeave;
      if (epoch === undefined) continue;
      moving.add(session);
      if (this.#moving.has(session)) session.socket?.notify('media.move', { epoch });
    }
    this.#moving = moving;
  }
}
