import { SPEAKERS_REPEAT_MS } from '@plenary/cluster';
import type { ControlNotice, PeerId, RouterId, TrackId } from '@plenary/cluster';
import type { TrackVolume } from '../engine/speaker-observer.ts';

export type Speaker = ControlNotice<'speakers'>['speakers'][number];

/** Most speakers that one notice names. */
export const MAX_SPEAKERS = 16;
/** A change of volume below this is not told, so that steady speech is not a notice each interval, in dB. */
export const VOLUME_STEP_DB = 10;

/** The loudest first, one entry per peer. */
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

/** Whether people would see a difference: other speakers, or one that is much louder or softer than was told. */
export function speakersDiffer(told: readonly Speaker[], now: readonly Speaker[]): boolean {
  if (told.length !== now.length) return true;
  return now.some((speaker) => {
    const before = told.find((other) => other.peerId === speaker.peerId);
    return before === undefined || Math.abs(before.volumeDbov - speaker.volumeDbov) >= VOLUME_STEP_DB;
  });
}

/** Who is heard of a room's peers on this node, over all its routers. */
export class RoomSpeakers {
  readonly #peerOf: (trackId: TrackId) => PeerId | undefined;
  readonly #tell: (speakers: readonly Speaker[]) => void;
  readonly #volumes = new Map<RouterId, readonly TrackVolume[]>();
  readonly #nowMs: () => number;
  #told: readonly Speaker[] = [];
  #toldAtMs = 0;

  /**
   * @param tell - called on each change, and again each {@link SPEAKERS_REPEAT_MS} while anybody is heard, since
   *   notices may be lost; an empty list says that nobody is heard any more
   * @param nowMs - a clock that only goes forward, in milliseconds
   */
  constructor(
    peerOf: (trackId: TrackId) => PeerId | undefined,
    tell: (speakers: readonly Speaker[]) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#peerOf = peerOf;
    this.#tell = tell;
    this.#nowMs = nowMs;
  }

  heard(routerId: RouterId, volumes: readonly TrackVolume[]): void {
    if (volumes.length === 0) this.#volumes.delete(routerId);
    else this.#volumes.set(routerId, volumes);
    this.#update();
  }

  routerGone(routerId: RouterId): void {
    if (this.#volumes.delete(routerId)) this.#update();
  }

  #update(): void {
    const now = rankSpeakers([...this.#volumes.values()].flat(), this.#peerOf);
    const nowMs = this.#nowMs();
    const repeat = now.length > 0 && nowMs - this.#toldAtMs >= SPEAKERS_REPEAT_MS;
    if (!repeat && !speakersDiffer(this.#told, now)) return;
    this.#told = now;
    this.#toldAtMs = nowMs;
    this.#tell(now);
  }
}
