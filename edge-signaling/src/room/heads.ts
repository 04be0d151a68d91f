import type { RoomStore } from '@plenary/cluster';
import type { ReportFault } from '../metrics.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from './local-rooms.ts';

/** How often each room's clients are told the id of its last event, in milliseconds. */
export const HEAD_INTERVAL_MS = 3_000;

export interface HeadsSettings {
  readonly rooms: RoomStore;
  readonly isStoreAvailable: () => boolean;
  readonly localRooms: LocalRooms;
  readonly channel: RoomChannel;
  readonly reportFault: ReportFault;
}

/**
 * Tells clients how far their room's log is, so that an event lost by pub/sub is noticed although no other one follows
 * (SPEC LG7). Silent while the store is away.
 */
export class Heads {
  readonly #settings: HeadsSettings;
  #timer: NodeJS.Timeout | undefined;
  #isTelling = false;

  constructor(settings: HeadsSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tell(), HEAD_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #tell(): Promise<void> {
    const { rooms, isStoreAvailable, localRooms, channel, reportFault } = this.#settings;
    if (this.#isTelling || !isStoreAvailable()) return;
    this.#isTelling = true;
    try {
      for (const roomId of localRooms.roomIds()) {
        channel.publishLocally(roomId, 'head', { lastEventId: await rooms.lastEventId(roomId) });
      }
    } catch (fault) {
      reportFault('background', fault, { doing: 'reading the heads of rooms' });
    } finally {
      this.#isTelling = false;
    }
  }
}
