import type { TrackId } from '@plenary/cluster/protocol';
import type { Flow } from './media-silence.ts';

/** So long nothing of a track may come before it counts as stalled, in milliseconds: layers and key frames take less. */
export const STALLED_AFTER_MS = 2_000;
const LOOK_EVERY_MS = 500;
/**
 * Sounds that one look takes in: those of people whose picture comes are not looked at, and of a thousand open microphones it is
 * a few at a time.
 */
const SOUNDS_PER_LOOK = 32;

/** A track that is received and ought to flow. */
export interface WatchedFlow extends Flow {
  readonly trackId: TrackId;
  readonly peerId: string;
  readonly kind: 'audio' | 'video';
}

export interface StalledTracksEnvironment {
  /** What ought to flow now, by consumer. */
  readonly flows: () => Iterable<readonly [id: string, flow: WatchedFlow]>;
  readonly changed: (stalled: ReadonlySet<TrackId>) => void;
}

interface Seen {
  readonly stamp: number;
  readonly sinceMs: number;
}

/**
 * Knows of each track whether it arrives, so that a picture that stands still is not shown as if it were live. What never came is
 * no concern of this: it is waited for. Where the browser does not tell of packets, nothing counts as stalled.
 */
export class StalledTracks {
  readonly #environment: StalledTracksEnvironment;
  readonly #seen = new Map<string, Seen>();
  #stalled: ReadonlySet<TrackId> = new Set();
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastLookMs = 0;
  /** Where the sounds of the next look begin. */
  #firstSound = 0;

  constructor(environment: StalledTracksEnvironment) {
    this.#environment = environment;
  }

  start(): void {
    this.stop();
    this.#lastLookMs = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#seen.clear();
    this.#tell(new Set());
  }

  #look(): void {
    const nowMs = performance.now();
    // This page stood still itself: what came meanwhile is about to be read.
    if (nowMs - this.#lastLookMs > STALLED_AFTER_MS) this.#seen.clear();
    this.#lastLookMs = nowMs;
    const flows = new Map(this.#environment.flows());
    for (const id of this.#seen.keys()) if (!flows.has(id)) this.#seen.delete(id);
    const stalled = new Set<TrackId>();
    const movingPeople = new Set<string>();
    const sounds: (readonly [string, WatchedFlow])[] = [];
    for (const [id, flow] of flows) {
      if (flow.kind === 'audio') sounds.push([id, flow]);
      else if (this.#isStalled(id, flow, nowMs)) stalled.add(flow.trackId);
      else movingPeople.add(flow.peerId);
    }
    const alone = sounds.filter(([, { peerId }]) => !movingPeople.has(peerId));
    for (let looked = 0; looked < Math.min(alone.length, SOUNDS_PER_LOOK); looked += 1) {
      const sound = alone[(this.#firstSound + looked) % alone.length];
      if (sound !== undefined && this.#isStalled(...sound, nowMs)) stalled.add(sound[1].trackId);
    }
    // The others are as they were.
    for (let later = SOUNDS_PER_LOOK; later < alone.length; later += 1) {
      const trackId = alone[(this.#firstSound + later) % alone.length]?.[1].trackId;
      if (trackId !== undefined && this.#stalled.has(trackId)) stalled.add(trackId);
    }
    this.#firstSound = (this.#firstSound + SOUNDS_PER_LOOK) % Math.max(1, alone.length);
    this.#tell(stalled);
  }

  #isStalled(id: string, flow: WatchedFlow, nowMs: number): boolean {
    const stamp = flow.stamp();
    if (stamp === undefined) return this.#isOld(id, nowMs);
    if (this.#seen.get(id)?.stamp !== stamp) this.#seen.set(id, { stamp, sinceMs: nowMs });
    return this.#isOld(id, nowMs);
  }

  /** Browsers forget the source of what has not come for ten seconds. */
  #isOld(id: string, nowMs: number): boolean {
    const seen = this.#seen.get(id);
    return seen !== undefined && nowMs - seen.sinceMs >= STALLED_AFTER_MS;
  }

  #tell(stalled: ReadonlySet<TrackId>): void {
    const isSame =
      stalled.size === this.#stalled.size && [...stalled].every((trackId) => this.#stalled.has(trackId));
    if (isSame) return;
    this.#stalled = stalled;
    this.#environment.changed(stalled);
  }
}
