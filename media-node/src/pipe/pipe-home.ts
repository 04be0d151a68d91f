import { PlenaryError, familyOf } from '@plenary/cluster';
import type { PipeEnd, TrackId } from '@plenary/cluster';
import type { MediaConsumer } from '../engine/media-consumer.ts';
import type { PipePort } from '../engine/pipe-port.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { PipeAsker, PipedTrack, PipeKey } from './home-side.ts';

/** The home side of a pipe: sends tracks of its router into it, as the other side asks. */
export class PipeHome {
  readonly key: PipeKey;
  readonly #asker: PipeAsker;
  readonly #lease: RouterLease;
  readonly #metrics: NodeMetrics;
  readonly #onClosed: () => void;
  readonly #consumers = new Map<TrackId, Promise<MediaConsumer>>();
  #port: PipePort | undefined;
  #closed = false;

  private constructor(
    key: PipeKey,
    asker: PipeAsker,
    lease: RouterLease,
    metrics: NodeMetrics,
    onClosed: () => void,
  ) {
    this.key = key;
    this.#asker = asker;
    this.#lease = lease;
    this.#metrics = metrics;
    this.#onClosed = onClosed;
    metrics.pipes.inc({ side: 'home' });
  }

  /**
   * Opens a port of the family that the other end is of.
   * @throws PlenaryError `media_lost`, `media_unavailable`, `invalid_media_parameters`; then nothing is left open
   */
  static async open(options: {
    readonly key: PipeKey;
    readonly end: PipeEnd;
    readonly reach: 'loopback' | 'announced';
    readonly asker: PipeAsker;
    readonly lease: RouterLease;
    readonly metrics: NodeMetrics;
    readonly onClosed: () => void;
  }): Promise<PipeHome> {
    const { key, end, reach, asker, lease, metrics, onClosed } = options;
    const home = new PipeHome(key, asker, lease, metrics, onClosed);
    try {
      const srtp = end.srtpParameters !== undefined;
      home.#port = await lease.router.createPipePort({ reach, srtp, family: familyOf(end.address) }, () => {
        home.close('port_closed');
      });
      await home.#port.connect(end);
      if (home.#closed) throw new PlenaryError('media_lost');
      return home;
    } catch (error) {
      home.close('failed');
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What the asking side connects to. */
  get end(): PipeEnd {
    if (this.#port === undefined) throw new PlenaryError('media_lost');
    return this.#port.end;
  }

  /** Sends a track; a repeat gives the same consumer. @throws PlenaryError `track_not_found`, `media_lost` */
  async consume(trackId: TrackId): Promise<PipedTrack> {
    const port = this.#port;
    if (this.#closed || port === undefined) throw new PlenaryError('media_lost');
    let consuming = this.#consumers.get(trackId);
    if (consuming === undefined) {
      consuming = this.#consume(port, trackId);
      this.#consumers.set(trackId, consuming);
    }
    const { kind, rtpParameters, producerPaused } = await consuming;
    return { kind, rtpParameters, paused: producerPaused };
  }

  /** A track that is not in the pipe changes nothing: it ended meanwhile. @throws PlenaryError `media_lost` */
  async setPaused(trackId: TrackId, paused: boolean): Promise<void> {
    const consumer = await this.#consumers.get(trackId);
    if (consumer !== undefined && !consumer.closed) await consumer.setPaused(paused);
  }

  release(trackId: TrackId): void {
    const consuming = this.#consumers.get(trackId);
    this.#consumers.delete(trackId);
    consuming?.then(
      (consumer) => {
        consumer.close();
      },
      () => undefined, // Answered to whoever asked for the track; there is nothing to release.
    );
  }

  /** @param reason - the asking side is told when it did not ask for it */
  close(reason: 'asked' | 'replaced' | 'asker_gone' | 'port_closed' | 'failed'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port?.close();
    this.#consumers.clear();
    this.#lease.release();
    this.#metrics.pipes.dec({ side: 'home' });
    if (reason === 'port_closed') this.#asker.closed(this.key);
    this.#onClosed();
  }

  async #consume(port: PipePort, trackId: TrackId): Promise<MediaConsumer> {
    try {
      return await port.consume(trackId, {
        closed: (cause) => {
          this.#consumers.delete(trackId);
          if (cause === 'producer_closed') this.#asker.producerChanged(this.key, trackId, 'ended');
        },
        producerPaused: (paused) => {
          this.#asker.producerChanged(this.key, trackId, paused ? 'paused' : 'resumed');
        },
      });
    } catch (error) {
      this.#consumers.delete(trackId);
      throw error;
    }
  }
}
