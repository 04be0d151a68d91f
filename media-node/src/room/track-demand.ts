import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { Timers, WantedLayer } from '@plenary/cluster';

/**
 * How long what is wanted no more is still sent, in milliseconds: tiles are resized and scrolled in steps, and each rise
 * costs a key frame. Bytes stop within two seconds.
 */
export const LOWER_DELAY_MS = 1_000;

/**
 * Who holds a track: somebody who watches, or a pipe that others watch through. Behind a pipe whatever changes has waited
 * already, so that it takes effect at once here: else each pipe on the way would add its own wait.
 */
export type HolderKind = 'viewer' | 'pipe';

/** One holder's wish among those of all who want a track. */
export interface TrackWish {
  /** What it wants of the track now; a hold begins by wanting everything. */
  setWanted(wanted: WantedLayer): void;
  /** Ends the interest; may be called again without effect. */
  release(): void;
}

/** One holder's interest in a track on a router. */
export interface TrackHold extends TrackWish {
  /** Whether it ended since the node that it came through is gone, while the track goes on elsewhere. */
  isPathLost(): boolean;
  /** What is consumed there. Two copies of one track may be on a router while it changes the way that it comes. */
  readonly producerId: string;
}

/** What all who hold a track want of it together: the highest of their wishes. It rises at once and falls after a while. */
export class TrackDemand {
  readonly #timers: Timers;
  readonly #onChange: (wanted: WantedLayer) => void;
  /** How many want each layer, so that no change looks at every holder. */
  readonly #byRank = new Array<number>(RANKS).fill(0);
  #holdCount = 0;
  #wanted: WantedLayer = TOP_SPATIAL_LAYER;
  #cancelFall: (() => void) | undefined;

  /** @param onChange - told of each change; what is sent at first is everything */
  constructor(timers: Timers, onChange: (wanted: WantedLayer) => void) {
    this.#timers = timers;
    this.#onChange = onChange;
  }

  get holdCount(): number {
    return this.#holdCount;
  }

  get wanted(): WantedLayer {
    return this.#wanted;
  }

  hold(holder: HolderKind = 'viewer'): TrackWish {
    const lowerDelayMs = holder === 'viewer' ? LOWER_DELAY_MS : 0;
    let held: WantedLayer | 'released' = TOP_SPATIAL_LAYER;
    this.#holdCount += 1;
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
        this.#holdCount -= 1;
        held = 'released';
        this.update(lowerDelayMs);
      },
    };
  }

  /** Brings the demand to what the holders want now. */
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

  /** Lets no fall happen any more. */
  close(): void {
    this.#cancelFall?.();
    this.#cancelFall = undefined;
  }

  #count(wanted: WantedLayer, by: number): void {
    const at = rank(wanted) + 1;
    this.#byRank[at] = (this.#byRank[at] ?? 0) + by;
  }

  /** The highest that anybody wants; nothing where nobody watches. */
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
/** Nothing, and each layer. */
const RANKS = TOP_SPATIAL_LAYER + 2;
