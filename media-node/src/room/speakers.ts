import { SPEAKERS_REPEAT_MS } from '@plenary/cluster';
import type { ControlNotice, PeerId, RouterId, TrackId } from '@plenary/cluster';
import type { TrackVolume } from '../engine/speaker-observer.ts';

export type Speaker = ControlNotice<'speakers'>['speakers'][number];

/** Maximum number of speakers in one notice. */
export const MAX_SPEAKERS = 16;
/**
 * A smaller change of volume is not announced, in dB, so that steady speech does not cause a notice each interval.
 */
export const VOLUME_STEP_DB = 10;

/** Ranks the loudest first, one entry per peer. */
export function rankSpeakers(
  volumes: Iterable<TrackVolume>,
  peerOf: (trackId: TrackId) => PeerId | undefined,
): readonly Speaker[] {
  const loudest = new Map<PeerId, number>();
  for (const { trackId, volumeDbov } of volumes) {
    const peerId = peerOf(trackId);
    if (peerId === undefined) continue;
    loudest.set(peerId, Math.max(volumeDbov, loudest.get(peerId) ?? -127));
  }
  return [...loudest]
    .map(([peerId, volumeDbov]) => ({ peerId, volumeDbov: Math.round(volumeDbov) }))
    .sort((left, right) => right.volumeDbov - left.volumeDbov)
    .slice(0, MAX_SPEAKERS);
}

/** Whether people would notice the difference: other speakers, or one much louder or softer than announced. */
export function speakersDiffer(announced: readonly Speaker[], now: readonly Speaker[]): boolean {
  if (announced.length !== now.length) return true;
  return now.some((speaker) => {
    const before = announced.find((other) => other.peerId === speaker.peerId);
    return before === undefined || Math.abs(before.volumeDbov - speaker.volumeDbov) >= VOLUME_STEP_DB;
  });
}

/** The speakers among a room's peers on this node, over all its routers. */
export class RoomSpeakers {
  readonly #peerOf: (trackId: TrackId) => PeerId | undefined;
  readonly #notify: (speakers: readonly Speaker[]) => void;
  readonly #volumes = new Map<RouterId, readonly TrackVolume[]>();
  readonly #nowMs: () => number;
  #announced: readonly Speaker[] = [];
  #announcedAtMs = 0;

  /**
   * @param notify - called on each change, and again each {@link SPEAKERS_REPEAT_MS} while anybody speaks, since
   *   notices may be lost; an empty list means that nobody speaks any more
   * @param nowMs - a monotonic clock, in milliseconds
   */
  constructor(
    peerOf: (trackId: TrackId) => PeerId | undefined,
    notify: (speakers: readonly Speaker[]) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#peerOf = peerOf;
    this.#notify = notify;
    this.#nowMs = nowMs;
  }

  volumesChanged(routerId: RouterId, volumes: readonly TrackVolume[]): void {
    if (volumes.length === 0) this.#volumes.delete(routerId);
    else this.#volumes.set(routerId, volumes);
    this.#update();
  }

  routerClosed(routerId: RouterId): void {
    if (this.#volumes.delete(routerId)) this.#update();
  }

  #update(): void {
    const now = rankSpeakers([...this.#volumes.values()].flat(), this.#peerOf);
    const nowMs = this.#nowMs();
    const repeat = now.length > 0 && nowMs - this.#announcedAtMs >= SPEAKERS_REPEAT_MS;
    if (!repeat && !speakersDiffer(this.#announced, now)) return;
    this.#announced = now;
    this.#announcedAtMs = nowMs;
    this.#notify(now);
  }
}
