import type { TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { Flow } from './media-silence.ts';

/** So long nothing of a track may come before it counts as stalled, in milliseconds: layers and key frames take less. */
export const STALLED_AFTER_MS = 2_000;
/**
 * The same for a screen of somebody of whom nothing else is sent, in milliseconds: where nothing changes on a screen, browsers send
 * it anew once a second or so.
 */
export const SCREEN_STALLED_AFTER_MS = 6_000;
/**
 * So long something may take to come at all, in milliseconds: somebody without a path publishes by the edge all the same, and
 * would look as if about to be seen for ever.
 */
export const NEVER_CAME_AFTER_MS = 4_000;
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
  readonly source: TrackSource;
}

export interface StalledTracksEnvironment {
  /** What ought to flow now, by consumer. */
  readonly flows: () => Iterable<readonly [id: string, flow: WatchedFlow]>;
  readonly changed: (stalled: ReadonlySet<TrackId>) => void;
}

interface Seen {
  /** Of the last packet; `undefined` before the first. */
  readonly stamp: number | undefined;
  readonly sinceMs: number;
}

/** Of whom something comes, and of whom nothing does although it ought to. */
interface People {
  readonly moving: Set<string>;
  readonly stalled: Set<string>;
}

/**
 * Knows of each track whether it arrives, so that a picture that stands still is not shown as if it were live, nor one that never
 * comes as if it were about to.
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
    this.#timer = setInterval(() => this.#check(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#seen.clear();
    this.#tell(new Set());
  }

  #check(): void {
    const nowMs = performance.now();
    // This page stood still itself: what came meanwhile is about to be read.
    if (nowMs - this.#lastLookMs > STALLED_AFTER_MS) this.#seen.clear();
    this.#lastLookMs = nowMs;
    const flows = new Map(this.#environment.flows());
    for (const id of this.#seen.keys()) if (!flows.has(id)) this.#seen.delete(id);
    const stalled = new Set<TrackId>();
    const people: People = { moving: new Set(), stalled: new Set() };
    const judge = (id: string, flow: WatchedFlow): void => {
      const silentMs = this.#silentMs(id, flow, nowMs);
      if (silentMs === undefined) return;
      const isStalled = silentMs >= STALLED_AFTER_MS;
      if (isStalled) stalled.add(flow.trackId);
      (isStalled ? people.stalled : people.moving).add(flow.peerId);
    };
    const of = (...sources: readonly TrackSource[]): (readonly [string, WatchedFlow])[] =>
      [...flows].filter(([, { source }]) => sources.includes(source));

    for (const [id, flow] of of('camera')) judge(id, flow);
    const screens = of('screen');
    const presenters = new Set(screens.map(([, { peerId }]) => peerId));
    const sounds = of('microphone', 'screen-audio').filter(([, { peerId }]) => !people.moving.has(peerId));
    for (const [id, flow] of sounds) if (presenters.has(flow.peerId)) judge(id, flow);
    this.#lookAtSome(
      sounds.filter(([, { peerId }]) => !presenters.has(peerId)),
      judge,
      stalled,
    );
    for (const [id, flow] of screens)
      if (this.#isScreenStalled(id, flow, nowMs, people)) stalled.add(flow.trackId);
    this.#tell(stalled);
  }

  /** Looks at a few sounds, at others the next time; those that are not looked at are as they were. */
  #lookAtSome(
    sounds: readonly (readonly [string, WatchedFlow])[],
    judge: (id: string, flow: WatchedFlow) => void,
    stalled: Set<TrackId>,
  ): void {
    for (const place of sounds.keys()) {
      const sound = sounds[(this.#firstSound + place) % sounds.length];
      if (sound === undefined) continue;
      if (place < SOUNDS_PER_LOOK) judge(...sound);
      else if (this.#stalled.has(sound[1].trackId)) stalled.add(sound[1].trackId);
    }
    this.#firstSound = (this.#firstSound + SOUNDS_PER_LOOK) % Math.max(1, sounds.length);
  }

  /** A screen may stand still for a while: whatever else comes of its person tells whether that is so. */
  #isScreenStalled(id: string, flow: WatchedFlow, nowMs: number, { moving, stalled }: People): boolean {
    const silentMs = this.#silentMs(id, flow, nowMs);
    if (silentMs === undefined || moving.has(flow.peerId)) return false;
    return silentMs >= (stalled.has(flow.peerId) ? STALLED_AFTER_MS : SCREEN_STALLED_AFTER_MS);
  }

  /**
   * For how long nothing has come; `undefined` while what has never come is waited for. Browsers forget the source of what has not
   * come for ten seconds.
   */
  #silentMs(id: string, flow: WatchedFlow, nowMs: number): number | undefined {
    const stamp = flow.stamp();
    const before = this.#seen.get(id);
    const isNews = before === undefined || (stamp !== undefined && stamp !== before.stamp);
    const seen = isNews ? { stamp, sinceMs: nowMs } : before;
    this.#seen.set(id, seen);
    const silentMs = nowMs - seen.sinceMs;
    return seen.stamp === undefined && silentMs < NEVER_CAME_AFTER_MS ? undefined : silentMs;
  }

  #tell(stalled: ReadonlySet<TrackId>): void {
    const isSame =
      stalled.size === this.#stalled.size && [...stalled].every((trackId) => this.#stalled.has(trackId));
    if (isSame) return;
    this.#stalled = stalled;
    this.#environment.changed(stalled);
  }
}
