import type { TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { Flow } from './media-silence.ts';

/** A track without packets for this time counts as stalled, in milliseconds: layer switches and key frames take less. */
export const STALLED_AFTER_MS = 2_000;
/**
 * A screen counts as stalled after this time, in milliseconds, if its peer sends nothing else. Browsers resend an unchanged screen about
 * once a second.
 */
export const SCREEN_STALLED_AFTER_MS = 6_000;
/**
 * Time limit for the first packet of a track, in milliseconds. A peer without a media path can still publish through the edge, and would
 * otherwise be shown as loading for ever.
 */
export const NEVER_CAME_AFTER_MS = 4_000;
const STALL_CHECK_INTERVAL_MS = 500;
/**
 * Most audio tracks in one check: peers whose video arrives are skipped, and a thousand open microphones are checked a few at a time.
 */
const SOUNDS_PER_CHECK = 32;

/** A received track that should carry packets. */
export interface WatchedFlow extends Flow {
  readonly trackId: TrackId;
  readonly peerId: string;
  readonly source: TrackSource;
}

export interface StalledTracksEnvironment {
  /** Flows that should carry packets now, by consumer. */
  readonly flows: () => Iterable<readonly [id: string, flow: WatchedFlow]>;
  readonly changed: (stalled: ReadonlySet<TrackId>) => void;
}

interface Seen {
  /** Timestamp of the last packet; `undefined` before the first. */
  readonly stamp: number | undefined;
  readonly sinceMs: number;
}

/** Peers whose tracks arrive, and peers whose tracks are stalled. */
interface People {
  readonly moving: Set<string>;
  readonly stalled: Set<string>;
}

/**
 * Detects stalled tracks, so that a frozen video is not shown as live, and a track that never arrives is not shown as loading.
 */
export class StalledTracks {
  readonly #environment: StalledTracksEnvironment;
  readonly #seen = new Map<string, Seen>();
  #stalled: ReadonlySet<TrackId> = new Set();
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastCheckMs = 0;
  /** Index of the first audio track of the next check. */
  #firstSound = 0;

  constructor(environment: StalledTracksEnvironment) {
    this.#environment = environment;
  }

  start(): void {
    this.stop();
    this.#lastCheckMs = performance.now();
    this.#timer = setInterval(() => this.#check(), STALL_CHECK_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#seen.clear();
    this.#setStalled(new Set());
  }

  #check(): void {
    const nowMs = performance.now();
    // This page itself was suspended: packets that arrived meanwhile are about to be read.
    if (nowMs - this.#lastCheckMs > STALLED_AFTER_MS) this.#seen.clear();
    this.#lastCheckMs = nowMs;
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
    const flowsFrom = (...sources: readonly TrackSource[]): (readonly [string, WatchedFlow])[] =>
      [...flows].filter(([, { source }]) => sources.includes(source));

    for (const [id, flow] of flowsFrom('camera')) judge(id, flow);
    const screens = flowsFrom('screen');
    const presenters = new Set(screens.map(([, { peerId }]) => peerId));
    const sounds = flowsFrom('microphone', 'screen-audio').filter(
      ([, { peerId }]) => !people.moving.has(peerId),
    );
    for (const [id, flow] of sounds) if (presenters.has(flow.peerId)) judge(id, flow);
    this.#checkSome(
      sounds.filter(([, { peerId }]) => !presenters.has(peerId)),
      judge,
      stalled,
    );
    for (const [id, flow] of screens)
      if (this.#isScreenStalled(id, flow, nowMs, people)) stalled.add(flow.trackId);
    this.#setStalled(stalled);
  }

  /** Checks some audio tracks, and others the next time. Unchecked tracks keep their state. */
  #checkSome(
    sounds: readonly (readonly [string, WatchedFlow])[],
    judge: (id: string, flow: WatchedFlow) => void,
    stalled: Set<TrackId>,
  ): void {
    for (const place of sounds.keys()) {
      const sound = sounds[(this.#firstSound + place) % sounds.length];
      if (sound === undefined) continue;
      if (place < SOUNDS_PER_CHECK) judge(...sound);
      else if (this.#stalled.has(sound[1].trackId)) stalled.add(sound[1].trackId);
    }
    this.#firstSound = (this.#firstSound + SOUNDS_PER_CHECK) % Math.max(1, sounds.length);
  }

  /** An unchanged screen sends little, so the other tracks of its peer show whether it is stalled. */
  #isScreenStalled(id: string, flow: WatchedFlow, nowMs: number, { moving, stalled }: People): boolean {
    const silentMs = this.#silentMs(id, flow, nowMs);
    if (silentMs === undefined || moving.has(flow.peerId)) return false;
    return silentMs >= (stalled.has(flow.peerId) ? STALLED_AFTER_MS : SCREEN_STALLED_AFTER_MS);
  }

  /**
   * Returns the time since the last packet, in milliseconds; `undefined` while the first packet may still come. Browsers forget a source
   * after ten seconds without packets.
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

  #setStalled(stalled: ReadonlySet<TrackId>): void {
    const isSame =
      stalled.size === this.#stalled.size && [...stalled].every((trackId) => this.#stalled.has(trackId));
    if (isSame) return;
    this.#stalled = stalled;
    this.#environment.changed(stalled);
  }
}
