import { guardCallback, PlenaryError, TOP_SPATIAL_LAYER, inBackground } from '@plenary/cluster';
import type { MediaNodeId, Timers, TrackId, TrackOrigin, WantedLayer } from '@plenary/cluster';
import type { MediaProducer } from '../engine/engine.ts';
import { TrackDemand } from '../room/track-demand.ts';
import type { HolderKind, TrackHold } from '../room/track-demand.ts';
import type { HomeSide, PipedTrack, ProducerState } from './home-side.ts';

/** Wait before a demand that the home did not confirm is sent again, in milliseconds. */
export const RETRY_DEMAND_MS = 1_000;

export interface PulledTrackPorts {
  readonly home: Pick<HomeSide, 'consume' | 'setWanted' | 'release'>;
  /** The id of the copy on its router. */
  readonly producerId: string;
  /** Creates the copy on the local router. `onClosed` is called when it closed, whatever the cause. */
  readonly produce: (track: PipedTrack, onClosed: () => void) => Promise<Copy>;
  /** Whether the sending node only relays the track. */
  readonly isRelayed: boolean;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** Receives failed calls that no caller awaits. */
  readonly onFault: (where: string, thrown: unknown) => void;
  readonly onClosed: () => void;
}

type Copy = Pick<MediaProducer, 'setPaused' | 'close' | 'paused'>;

/**
 * The copy of a track on a router other than its home's, with a count of its holders. The home is notified of their
 * demand and pauses the track while there is none; a linger after the last release, the copy is released (SPEC PI3,
 * PI17, PI4). The last release of a pipe is not followed by a linger, since the other end has waited already.
 */
export class PulledTrack {
  readonly trackId: TrackId;
  readonly homeNodeId: MediaNodeId;
  /** Resolves when the copy can be consumed. */
  readonly ready: Promise<void>;
  readonly #ports: PulledTrackPorts;
  readonly #origin: TrackOrigin;
  readonly #demand: TrackDemand;
  /** Notifies the holders that the track should take another path. */
  readonly #supersededListeners = new Set<() => void>();
  #lingers = true;
  #copy: Copy | undefined;
  /** The publisher's pause as last announced, if it was announced since the home began to send. */
  #publisherPaused: boolean | undefined;
  #cancelLinger: (() => void) | undefined;
  /** The demand that the home confirmed last; `undefined` while that is not known. */
  #confirmedDemand: WantedLayer | undefined = TOP_SPATIAL_LAYER;
  #isSending = false;
  #closed = false;
  #pathLost = false;

  constructor(origin: TrackOrigin, ports: PulledTrackPorts) {
    this.trackId = origin.trackId;
    this.homeNodeId = origin.homeNodeId;
    this.#origin = origin;
    this.#ports = ports;
    this.#demand = new TrackDemand(ports.timers, () => {
      this.#sendDemand();
    });
    this.ready = this.#pull();
    // Each holder waits for `ready` too; this handler only keeps a failure after the last release from ending the
    // process. `onFault` gets the failure.
    this.ready.catch(
      guardCallback('background', (error: unknown) => {
        ports.onFault('pipe.pull', error);
      }),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the home should be sending: somebody watches the track, and its publisher has not paused it. */
  get isFlowing(): boolean {
    return this.#copy?.paused === false && this.#confirmedDemand !== null;
  }

  get holderCount(): number {
    return this.#demand.holderCount;
  }

  /**
   * @param onSuperseded - called when the track should take another path; it continues on this one until all have
   *   released it
   */
  hold(holder: HolderKind = 'viewer', onSuperseded: () => void = () => undefined): TrackHold {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    // A new holder needs this path after all.
    this.#lingers = true;
    const hold = this.#demand.add(holder);
    this.#supersededListeners.add(onSuperseded);
    return {
      producerId: this.#ports.producerId,
      isPathLost: () => this.#pathLost,
      setWanted: hold.setWanted,
      release: () => {
        this.#supersededListeners.delete(onSuperseded);
        hold.release();
        this.#closeUnused(holder === 'viewer');
      },
    };
  }

  /** Asks the holders to use another path. The copy ends with the last release, without a linger. */
  supersede(): void {
    for (const tell of [...this.#supersededListeners]) tell();
    this.endSoon();
  }

  /** From now on the copy ends with the last release, without a linger. */
  endSoon(): void {
    this.#lingers = false;
    this.#closeUnused(false);
  }

  /** Applies the home's notice about its producer. */
  producerChanged(state: ProducerState): void {
    if (state === 'ended') {
      this.close('ended');
      return;
    }
    this.#publisherPaused = state === 'paused';
    this.#followPublisher();
  }

  /**
   * Ends the copy and its consumers. @param cause - the home is notified of `unused` and `failed`; it knows the
   * others already
   */
  close(cause: 'unused' | 'ended' | 'pipe_closed' | 'failed'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pathLost = cause === 'pipe_closed' && this.#ports.isRelayed;
    this.#cancelLinger?.();
    this.#demand.close();
    this.#copy?.close();
    if (cause === 'unused' || cause === 'failed') {
      this.#ports.home.release(this.trackId).catch(
        guardCallback('background', (error: unknown) => {
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
      // The home may have begun to send although its answer never came, so it is asked to stop.
      this.close('failed');
      throw error;
    }
  }

  #followPublisher(): void {
    const paused = this.#publisherPaused;
    if (this.#copy === undefined || paused === undefined) return;
    this.#copy.setPaused(paused).catch(
      guardCallback('background', (error: unknown) => {
        if (!this.#closed) this.#ports.onFault('pipe.producer', error);
      }),
    );
  }

  #closeUnused(lingers: boolean): void {
    if (this.#closed || this.#demand.holderCount > 0) return;
    if (!lingers || !this.#lingers) this.close('unused');
    else if (this.#cancelLinger === undefined) this.#linger();
  }

  #linger(): void {
    this.#cancelLinger = this.#ports.timers.after(this.#ports.lingerMs, () => {
      this.close('unused');
    });
  }

  /** Sends the current demand to the home, one call at a time, so that calls never overtake each other. */
  #sendDemand(): void {
    const { wanted } = this.#demand;
    if (this.#isSending || this.#closed || this.#confirmedDemand === wanted) return;
    this.#isSending = true;
    inBackground(() =>
      this.ready
        .then(() => this.#ports.home.setWanted(this.trackId, wanted))
        .then(
          () => {
            this.#confirmedDemand = wanted;
            this.#isSending = false;
            this.#sendDemand();
          },
          (error: unknown) => {
            this.#isSending = false;
            this.#confirmedDemand = undefined;
            if (this.#closed) return;
            this.#ports.onFault('pipe.demand', error);
            this.#ports.timers.after(RETRY_DEMAND_MS, () => {
              this.#sendDemand();
            });
          },
        ),
    );
  }
}
