import { PlenaryError } from '@plenary/cluster';
import type { TrackId, TrackOrigin } from '@plenary/cluster';
import type { MediaProducer } from '../engine/media-producer.ts';
import type { Timers } from '../room/timers.ts';
import type { HomeSide, PipedTrack, ProducerState } from './home-side.ts';

/** How long nobody must watch before the home stops sending; bytes stop within two seconds; in milliseconds. */
export const PAUSE_DELAY_MS = 1_000;
/** As {@link PAUSE_DELAY_MS} for who watches through a further pipe: that side has waited already. */
export const RELAY_PAUSE_DELAY_MS = 0;
/** Wait before a pause that the home did not confirm is said again, in milliseconds. */
export const RETRY_PAUSE_MS = 1_000;

/** One consumer's interest in a track on its router. */
export interface TrackHold {
  /** Whether media is wanted now; a hold begins watching. */
  setWatching(watching: boolean): void;
  /** Ends the interest; may be called again without effect. */
  release(): void;
}

export interface PulledTrackPorts {
  readonly home: Pick<HomeSide, 'consume' | 'setPaused' | 'release'>;
  /** Makes the copy on the local router. `onClosed` is called when it is gone, whatever the cause. */
  readonly produce: (track: PipedTrack, onClosed: () => void) => Promise<Copy>;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** Told of a failed call that nobody waits for. */
  readonly onFault: (where: string, thrown: unknown) => void;
  readonly onClosed: () => void;
}

type Copy = Pick<MediaProducer, 'setPaused' | 'close' | 'paused'>;

/**
 * The copy of a track on a router that is not its home, counted by those who hold it: while none of them watches, the
 * home pauses it; a linger after the last one let go, it is released (SPEC PI3, PI4).
 */
export class PulledTrack {
  readonly trackId: TrackId;
  /** Settles when the copy can be consumed. */
  readonly ready: Promise<void>;
  readonly #ports: PulledTrackPorts;
  readonly #origin: TrackOrigin;
  readonly #holds = new Set<{ watching: boolean }>();
  #copy: Copy | undefined;
  /** The publisher's own pause as last told, when it was told since the home began to send. */
  #publisherPaused: boolean | undefined;
  #cancelLinger: (() => void) | undefined;
  #cancelPause: (() => void) | undefined;
  /** What the home was asked for last and confirmed. */
  #pausedAtHome = false;
  #pauseWanted = false;
  #syncing = false;
  #closed = false;

  constructor(origin: TrackOrigin, ports: PulledTrackPorts) {
    this.trackId = origin.trackId;
    this.#origin = origin;
    this.#ports = ports;
    this.ready = this.#pull();
    // Whoever holds the track waits for `ready` too; this only keeps a failure that comes after the last of them let go
    // from ending the process. The failure itself is handed to `onFault`.
    this.ready.catch((error: unknown) => {
      ports.onFault('pipe.pull', error);
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get holdCount(): number {
    return this.#holds.size;
  }

  /** @param pauseDelayMs - how long the home goes on sending when this is the last one that watched */
  hold(pauseDelayMs = PAUSE_DELAY_MS): TrackHold {
    const hold = { watching: true };
    this.#holds.add(hold);
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    this.#demandChanged(pauseDelayMs);
    return {
      setWatching: (watching) => {
        if (hold.watching === watching) return;
        hold.watching = watching;
        this.#demandChanged(pauseDelayMs);
      },
      release: () => {
        if (!this.#holds.delete(hold)) return;
        this.#demandChanged(pauseDelayMs);
        if (this.#holds.size === 0 && !this.#closed) this.#linger();
      },
    };
  }

  /** The home told of its producer. */
  producerChanged(state: ProducerState): void {
    if (state === 'ended') {
      this.close('ended');
      return;
    }
    this.#publisherPaused = state === 'paused';
    this.#followPublisher();
  }

  /** Ends the copy and all that consumes it. @param cause - only `unused` tells the home, which knows the others */
  close(cause: 'unused' | 'ended' | 'pipe_closed' | 'failed'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelLinger?.();
    this.#cancelPause?.();
    this.#copy?.close();
    if (cause === 'unused' || cause === 'failed') {
      this.#ports.home.release(this.trackId).catch((error: unknown) => {
        this.#ports.onFault('pipe.release', error);
      });
    }
    this.#ports.onClosed();
  }

  async #pull(): Promise<void> {
    try {
      const track = await this.#ports.home.consume(this.#origin);
      if (this.#closed) throw new PlenaryError('track_not_found');
      const copy = await this.#ports.produce(track, () => {
        this.close('ended');
      });
      if (this.#closed) {
        copy.close();
        throw new PlenaryError('track_not_found');
      }
      this.#copy = copy;
      this.#followPublisher();
    } catch (error) {
      // The home may have begun to send although its answer never came: it is told to stop.
      this.close('failed');
      throw error;
    }
  }

  #followPublisher(): void {
    const paused = this.#publisherPaused;
    if (this.#copy === undefined || paused === undefined) return;
    this.#copy.setPaused(paused).catch((error: unknown) => {
      if (!this.#closed) this.#ports.onFault('pipe.producer', error);
    });
  }

  #linger(): void {
    this.#cancelLinger = this.#ports.timers.after(this.#ports.lingerMs, () => {
      this.close('unused');
    });
  }

  #demandChanged(pauseDelayMs: number): void {
    if (this.#closed) return;
    const watched = [...this.#holds].some((hold) => hold.watching);
    if (watched) {
      this.#cancelPause?.();
      this.#cancelPause = undefined;
      this.#pauseWanted = false;
      this.#sync();
      return;
    }
    this.#cancelPause ??= this.#ports.timers.after(pauseDelayMs, () => {
      this.#cancelPause = undefined;
      this.#pauseWanted = true;
      this.#sync();
    });
  }

  /** Brings the home to what is wanted, one call at a time, so that two never overtake each other. */
  #sync(): void {
    if (this.#syncing || this.#closed || this.#pausedAtHome === this.#pauseWanted) return;
    this.#syncing = true;
    const paused = this.#pauseWanted;
    this.ready
      .then(() => this.#ports.home.setPaused(this.trackId, paused))
      .then(
        () => {
          this.#pausedAtHome = paused;
          this.#syncing = false;
          this.#sync();
        },
        (error: unknown) => {
          this.#syncing = false;
          if (this.#closed) return;
          this.#ports.onFault('pipe.pause', error);
          this.#ports.timers.after(RETRY_PAUSE_MS, () => {
            this.#sync();
          });
        },
      );
  }
}
