import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { Directory } from '../directory/directory.ts';
import type { MediaLinks } from './control-links.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from '../entry/session.ts';

/** Sessions that are asked to move at each reading of the registry: each of them takes its new node some work. */
const MOVES_AT_A_TIME = 20;
/** Who is still there is asked again after this time, in milliseconds. */
const ASK_AGAIN_MS = 10_000;

export interface EvacuationSettings {
  readonly localRooms: Pick<LocalRooms, 'sessions'>;
  readonly directory: Pick<Directory, 'mediaNodes' | 'missingForMs'>;
  readonly links: Pick<MediaLinks, 'get'>;
  readonly leaseMs: number;
  readonly clock: Clock;
}

/**
 * Moves people off media nodes that answer this edge and yet are surely missing in the registry: such a node is cut off from
 * the store, perhaps from the other nodes as well, so that the pictures of those on it reach nobody new. Nothing else would
 * ever move them. They move as from a node that drains; where there is no other node, everything stays (SPEC DR8).
 */
export class Evacuation {
  readonly #settings: EvacuationSettings;
  readonly #askedAtMs = new WeakMap<Session, number>();

  constructor(settings: EvacuationSettings) {
    this.#settings = settings;
  }

  /** To be called after each reading of the registry. */
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
      const askedAtMs = this.#askedAtMs.get(session) ?? Number.NEGATIVE_INFINITY;
      if (!isCutOff || session.mediaIsLost || nowMs - askedAtMs < ASK_AGAIN_MS) continue;
      this.#askedAtMs.set(session, nowMs);
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
