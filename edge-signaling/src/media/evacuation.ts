import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { Directory } from '../directory/directory.ts';
import type { MediaLinks } from './control-links.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from '../entry/session.ts';

/** Sessions that are requested to move after each read of the registry, at most: each move costs the new node some work. */
const MOVES_AT_A_TIME = 20;
/** How long a session may stay before it is requested to move again, in milliseconds. */
const REQUEST_AGAIN_MS = 10_000;

export interface EvacuationSettings {
  readonly localRooms: Pick<LocalRooms, 'sessions'>;
  readonly directory: Pick<Directory, 'mediaNodes' | 'missingForMs'>;
  readonly links: Pick<MediaLinks, 'get'>;
  readonly leaseMs: number;
  readonly clock: Clock;
}

/**
 * Moves peers off media nodes that answer this edge but are certainly missing in the registry. Such a node is cut off from the
 * store, perhaps from other nodes as well, so that its tracks may reach no new viewer. Nothing else would move these peers. They
 * move as from a node that drains; without another node they stay (SPEC DR8).
 */
export class Evacuation {
  readonly #settings: EvacuationSettings;
  readonly #requestedAtMs = new WeakMap<Session, number>();

  constructor(settings: EvacuationSettings) {
    this.#settings = settings;
  }

  /** To be called after each read of the registry. */
  check(): void {
    const { localRooms, directory, clock } = this.#settings;
    if (directory.mediaNodes.length === 0) return;
    const nowMs = clock.monotonicMs();
    const cutOff = new Map<MediaNodeId, boolean>();
    let left = MOVES_AT_A_TIME;
    for (const session of localRooms.sessions()) {
      const { mediaNodeId, epoch } = session.media;
      const isCutOff = cutOff.get(mediaNodeId) ?? this.#isCutOff(mediaNodeId);
      cutOff.set(mediaNodeId, isCutOff);
      const requestedAtMs = this.#requestedAtMs.get(session) ?? Number.NEGATIVE_INFINITY;
      if (!isCutOff || session.mediaIsLost || nowMs - requestedAtMs < REQUEST_AGAIN_MS) continue;
      this.#requestedAtMs.set(session, nowMs);
      session.socket?.notify('media.move', { epoch });
      left -= 1;
      if (left === 0) return;
    }
  }

  #isCutOff(mediaNodeId: MediaNodeId): boolean {
    const { directory, links, leaseMs } = this.#settings;
    return links.get(mediaNodeId)?.isUp === true && directory.missingForMs(mediaNodeId) > 2 * leaseMs;
  }
}
