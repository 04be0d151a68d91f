import type { EdgeHint } from '@plenary/cluster/protocol';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from '../room/local-rooms.ts';

export interface EdgeNewsSettings {
  readonly hints: () => readonly EdgeHint[];
  readonly localRooms: LocalRooms;
  readonly channel: Pick<RoomChannel, 'publishLocally'>;
}

/**
 * Sends clients the list of edges that they may connect to, whenever it changes. A meeting outlives edges: a client that
 * knew only the edges of its join could not reconnect once those are gone (SPEC SE12).
 */
export class EdgeNews {
  readonly #settings: EdgeNewsSettings;
  #lastSent = '';

  constructor(settings: EdgeNewsSettings) {
    this.#settings = settings;
  }

  tell(): void {
    const { hints, localRooms, channel } = this.#settings;
    const edges = [...hints()];
    const news = JSON.stringify(edges);
    if (news === this.#lastSent) return;
    this.#lastSent = news;
    for (const roomId of localRooms.roomIds()) channel.publishLocally(roomId, 'edges', { edges });
  }
}
