import type { EdgeHint } from '@plenary/cluster/protocol';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from '../room/local-rooms.ts';

export interface EdgeNewsSettings {
  readonly hints: () => readonly EdgeHint[];
  readonly localRooms: LocalRooms;
  readonly channel: Pick<RoomChannel, 'publishLocally'>;
}

/**
 * Tells clients of the edges that they may go to, whenever these change: a meeting outlives edges, and a client that
 * knew only those of its join would have nowhere to go once they are gone (SPEC SE12).
 */
export class EdgeNews {
  readonly #settings: EdgeNewsSettings;
  #told = '';

  constructor(settings: EdgeNewsSettings) {
    this.#settings = settings;
  }

  tell(): void {
    const { hints, localRooms, channel } = this.#settings;
    const edges = [...hints()];
    const news = JSON.stringify(edges);
    if (news === this.#told) return;
    this.#told = news;
    for (const roomId of localRooms.roomIds()) channel.publishLocally(roomId, 'edges', { edges });
  }
}
