import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { WantedLayer } from '@plenary/cluster';
import type { Timers } from './timers.ts';

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
  isWayLost(): boolean;
  /** What is consumed there. Two copies of one track may be on a router while it changes the way that it comes. */
  readonly producerId: string;
}

/** What all who hold a track want of it together: the highest of their wishes. It rises at once and falls after a while. */
export class TrackDemand {
  readonly #timers: Timers;
  readonly #onChange: (wanted: WantedLayer) => void;
  readonly #holds = new Set<{ wanted: WantedLayer }>();
  #wanted: WantedLayer = TOP_SPATIAL_LAYER;
  #cancelFall: (() => void) | undefined;

  /** @param onChange - told of each change; what is sent at first is everything */
  constructor(timers: Timers, onChange: (wanted: WantedLayer) => void) {
    this.#timers = timers;
    this.#onChange = onChange;
  }

  get holdCount(): number {
    return this.#holds.size;
  }

  get wanted(): WantedLayer {
    return this.#wanted;
  }

  hold(holder: HolderKind = 'viewer'): TrackWish {
    const lowerDelayMs = holder === 'viewer' ? LOWER_DELAY_MS : 0;
    const hold: { wanted: WantedLayer } = { wanted: TOP_SPATIAL_LAYER };
    this.#holds.add(hold);
    this.update(lowerDelayMs);
    return {
      setWanted: (wanted) => {
        if (hold.wanted === wanted) return;
        hold.wanted = wanted;
        this.update(lowerDelayMs);
      },
      release: () => {
        if (this.#holds.delete(hold)) this.update(lowerDelayMs);
      },
    };
  }

  /** Brings the demand to what the holders want now. */
  update(lowerDelayMs = LOWER_DELAY_MS): void {
    const highest = highestOf([...this.#holds].map(({ wanted }) => wanted));
    if (rank(highest) >= rank(this.#wanted) || lowerDelayMs === 0) {
      this.close();
      this.#change(highest);
      return;
    }
    this.#cancelFall ??= this.#timers.after(lowerDelayMs, () => {
      this.#cancelFall = undefined;
      this.#change(highestOf([...this.#holds].map(({ wanted }) => wanted)));
    });
  }

  /** Lets no fall happen any more. */
  close(): void {
    this.#cancelFall?.();
    this.#cancelFall = undefined;
  }

  #change(wanted: WantedLayer): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#onChange(wanted);
  }
}

const rank = (wanted: WantedLayer): number => wanted ?? -1;

function highestOf(wishes: readonly WantedLayer[]): WantedLayer {
  return wishes.reduce<WantedLayer>(
    (highest, wanted) => (rank(wanted) > rank(highest) ? wanted : highest),
    null,
  );
}
