import { every } from '@plenary/cluster';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from '../entry/session.ts';

/** How often clients are looked at, and how long a move may take before it is asked for again, in milliseconds. */
export const REMIND_MS = 10_000;

/**
 * Asks clients again whose move was begun and does not end, although their node does not ask any more: no node admitted
 * them, the answer was lost, or the node serves again. A move that was begun is placed, so it has to be finished (SPEC EP7).
 */
export class MoveReminder {
  readonly #localRooms: Pick<LocalRooms, 'sessions'>;
  /** Those that were moving the last time. */
  #moving = new Set<Session>();
  #timer: NodeJS.Timeout | undefined;

  constructor(localRooms: Pick<LocalRooms, 'sessions'>) {
    this.#localRooms = localRooms;
  }

  start(): void {
    this.#timer = every(REMIND_MS, () => {
      this.#look();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
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
