import { entry, PlenaryError, TOP_SPATIAL_LAYER, inBackground } from '@plenary/cluster';
import type { MediaNodeId, Timers, TrackId, TrackOrigin, WantedLayer } from '@plenary/cluster';
import type { MediaProducer } from '../engine/engine.ts';
import { TrackDemand } from '../room/track-demand.ts';
import type { HolderKind, TrackHold } from '../room/track-demand.ts';
import type { HomeSide, PipedTrack, ProducerState } from './home-side.ts';

/** Wait before what is wanted is said again where the home did not confirm it, in milliseconds. */
export const RETRY_DEMAND_MS = 1_000;

export interface PulledTrackPorts {
  readonly home: Pick<HomeSide, 'consume' | 'setWanted' | 'release'>;
  /** The copy's own id on its router. */
  readonly producerId: string;
  /** Makes the copy on the local router. `onClosed` is called when it is gone, whatever the cause. */
  readonly produce: (track: PipedTrack, onClosed: () => void) => Promise<Copy>;
  /** Whether it comes from a node that only relays it. */
  readonly isRelayed: boolean;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** Told of a failed call that nobody waits for. */
  readonly onFault: (where: string, thrown: unknown) => void;
  readonly onClosed: () => void;
}

type Copy = Pick<MediaProducer, 'setPaused' | 'close' | 'paused'>;

/**
 * The copy of a track on a router that is not its home, counted by those who hold it: the home is told what they want of
 * it, and pauses it while that is nothing; a linger after the last one let go, it is released (SPEC PI3, PI17, PI4). Behind a
 * pipe that linger has passed already.
 */
export class PulledTrack {
  readonly trackId: TrackId;
  readonly homeNodeId: MediaNodeId;
  /** Settles when the copy can be consumed. */
  readonly ready: Promise<void>;
  readonly #ports: PulledTrackPorts;
  readonly #origin: TrackOrigin;
  readonly #demand: TrackDemand;
  /** How each holder is told that the track should come another way. */
  readonly #tellSuperseded = new Set<() => void>();
  #lingers = true;
  #copy: Copy | undefined;
  /** The publisher's own pause as last told, when it was told since the home began to send. */
  #publisherPaused: boolean | undefined;
  #cancelLinger: (() => void) | undefined;
  /** What the home was told last and confirmed; `undefined` while it has not said whether it heard. */
  #wantedAtHome: WantedLayer | undefined = TOP_SPATIAL_LAYER;
  #syncing = false;
  #closed = false;
  #pathLost = false;

  constructor(origin: TrackOrigin, ports: PulledTrackPorts) {
    this.trackId = origin.trackId;
    this.homeNodeId = origin.homeNodeId;
    this.#origin = origin;
    this.#ports = ports;
    this.#demand = new TrackDemand(ports.timers, () => {
      this.#sync();
    });
    this.ready = this.#pull();
    // Whoever holds the track waits for `ready` too; this only keeps a failure that comes after the last of them let go
    // from ending the process. The failure itself is handed to `onFault`.
    this.ready.catch(
      entry('background', (error: unknown) => {
        ports.onFault('pipe.pull', error);
      }),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the home is to send it now: somebody watches it, and its publisher has not paused it. */
  get isFlowing(): boolean {
    return this.#copy?.paused === false && this.#wantedAtHome !== null;
  }

  get holdCount(): number {
    return this.#demand.holdCount;
  }

  /** @param onSuperseded - called when the track should come another way; it goes on coming this way until all let go */
  hold(holder: HolderKind = 'viewer', onSuperseded: () => void = () => undefined): TrackHold {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    // Somebody found no better way than this one after all.
    this.#lingers = true;
    const hold = this.#demand.hold(holder);
    this.#tellSuperseded.add(onSuperseded);
    return {
      producerId: this.#ports.producerId,
      isPathLost: () => this.#pathLost,
      setWanted: hold.setWanted,
      release: () => {
        this.#tellSuperseded.delete(onSuperseded);
        hold.release();
        this.#closeUnused(holder === 'viewer');
      },
    };
  }

  /** The track should come another way: who holds it is told, and with the last of them it ends without a linger. */
  supersede(): void {
    for (const tell of [...this.#tellSuperseded]) tell();
    this.endSoon();
  }

  /** It ends with the last hold from now on, without a linger. */
  endSoon(): void {
    this.#lingers = false;
    this.#closeUnused(false);
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
    this.#pathLost = cause === 'pipe_closed' && this.#ports.isRelayed;
    this.#cancelLinger?.();
    this.#demand.close();
    this.#copy?.close();
    if (cause === 'unused' || cause === 'failed') {
      this.#ports.home.release(this.trackId).catch(
        entry('background', (error: unknown) => {
          this.#ports.onFault('pipe.release', error);
        }),
      );
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
    this.#copy.setPaused(paused).catch(
      entry('background', (error: unknown) => {
        if (!this.#closed) this.#ports.onFault('pipe.producer', error);
      }),
    );
  }

  #closeUnused(lingers: boolean): void {
    if (this.#closed || this.#demand.holdCount > 0) return;
    if (!lingers || !this.#lingers) this.close('unused');
    else if (this.#cancelLinger === undefined) this.#linger();
  }

  #linger(): void {
    this.#cancelLinger = this.#ports.timers.after(this.#ports.lingerMs, () => {
      this.close('unused');
    });
  }

  /** Brings the home to what is wanted, one call at a time, so that two never overtake each other. */
  #sync(): void {
    const { wanted } = this.#demand;
    if (this.#syncing || this.#closed || this.#wantedAtHome === wanted) return;
    this.#syncing = true;
    inBackground(() =>
      this.ready
        .then(() => this.#ports.home.setWanted(this.trackId, wanted))
        .then(
          () => {
            this.#wantedAtHome = wanted;
            this.#syncing = false;
            this.#sync();
          },
          (error: unknown) => {
            this.#syncing = false;
            this.#wantedAtHome = undefined;
            if (this.#closed) return;
            this.#ports.onFault('pipe.demand', error);
            this.#ports.timers.after(RETRY_DEMAND_MS, () => {
              this.#sync();
            });
          },
        ),
    );
  }
}
