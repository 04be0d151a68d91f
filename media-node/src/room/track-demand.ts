import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { Timers, WantedLayer } from '@plenary/cluster';

/**
 * How long a layer is still sent after the last demand for it ended, in milliseconds: tiles are resized and scrolled
 * in steps, and each rise costs a key frame. Bytes stop within two seconds.
 */
export const LOWER_DELAY_MS = 1_000;

/**
 * A holder is a viewer, or a pipe that carries the track to viewers elsewhere. Changes behind a pipe have waited at
 * its other end already and take effect at once here; otherwise each pipe of a path would add its own wait.
 */
export type HolderKind = 'viewer' | 'pipe';

/** One holder's demand for a track. */
export interface HolderDemand {
  /** Sets the highest layer that the holder demands now; at first it demands the top layer. */
  setWanted(wanted: WantedLayer): void;
  /** Ends the demand. Repeated calls have no effect. */
  release(): void;
}

/** Keeps a track on a router for one holder, and carries the holder's demand for it. */
export interface TrackHold extends HolderDemand {
  /** Whether the track ended here because a relaying node died, while it continues elsewhere. */
  isPathLost(): boolean;
  /** The producer to consume. Two copies of one track may be on a router while the track changes its path. */
  readonly producerId: string;
}

/** A track's demand: the highest of its holders' demands. It rises at once and falls after a delay. */
export class TrackDemand {
  readonly #timers: Timers;
  readonly #onChange: (wanted: WantedLayer) => void;
  /** Number of holders by demanded layer, so that a change need not visit every holder. */
  readonly #byRank = new Array<number>(RANKS).fill(0);
  #holderCount = 0;
  #wanted: WantedLayer = TOP_SPATIAL_LAYER;
  #cancelFall: (() => void) | undefined;

  /** @param onChange - called on each change; at first the demand is the top layer */
  constructor(timers: Timers, onChange: (wanted: WantedLayer) => void) {
    this.#timers = timers;
    this.#onChange = onChange;
  }

  get holderCount(): number {
    return this.#holderCount;
  }

  get wanted(): WantedLayer {
    return this.#wanted;
  }

  add(holder: HolderKind = 'viewer'): HolderDemand {
    const lowerDelayMs = holder === 'viewer' ? LOWER_DELAY_MS : 0;
    let held: WantedLayer | 'released' = TOP_SPATIAL_LAYER;
    this.#holderCount += 1;
    this.#count(held, 1);
    this.update(lowerDelayMs);
    return {
      setWanted: (wanted) => {
        if (held === wanted || held === 'released') return;
        this.#count(held, -1);
        this.#count(wanted, 1);
        held = wanted;
        this.update(lowerDelayMs);
      },
      release: () => {
        if (held === 'released') return;
        this.#count(held, -1);
        this.#holderCount -= 1;
        held = 'released';
        this.update(lowerDelayMs);
      },
    };
  }

  /** Recomputes the demand from the holders' demands. */
  update(lowerDelayMs = LOWER_DELAY_MS): void {
    const highest = this.#highest();
    if (rank(highest) >= rank(this.#wanted) || lowerDelayMs === 0) {
      this.close();
      this.#change(highest);
      return;
    }
    this.#cancelFall ??= this.#timers.after(lowerDelayMs, () => {
      this.#cancelFall = undefined;
      this.#change(this.#highest());
    });
  }

  /** Cancels a fall that is due. */
  close(): void {
    this.#cancelFall?.();
    this.#cancelFall = undefined;
  }

  #count(wanted: WantedLayer, by: number): void {
    const at = rank(wanted) + 1;
    this.#byRank[at] = (this.#byRank[at] ?? 0) + by;
  }

  /** The highest demand of all holders; `null` when there is no holder. */
  #highest(): WantedLayer {
    const at = this.#byRank.findLastIndex((count, index) => index > 0 && count > 0);
    return at === -1 ? null : at - 1;
  }

  #change(wanted: WantedLayer): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#onChange(wanted);
  }
}

const rank = (wanted: WantedLayer): number => wanted ?? -1;
/** One rank for no layer, and one for each layer. */
const RANKS = TOP_SPATIAL_LAYER + 2;
