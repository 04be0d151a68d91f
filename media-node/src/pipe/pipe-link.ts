import { guardCallback, PlenaryError } from '@plenary/cluster';
import type { MediaNodeId, RouterId, Timers, TrackId, TrackOrigin } from '@plenary/cluster';
import type { PipeTransport } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { HolderKind, TrackHold } from '../room/track-demand.ts';
import type { HomeSide, ProducerState } from './home-side.ts';
import { PULLING_CLOSE_REASONS } from './close-reasons.ts';
import type { PipeCloseReason } from './close-reasons.ts';
import { PulledTrack } from './pulled-track.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface PipeLinkOptions {
  readonly home: HomeSide;
  /** The router at the other end. */
  readonly toRouterId: RouterId;
  /** Whether the other end only relays the tracks. */
  readonly isRelayed: boolean;
  readonly lease: RouterLease;
  readonly reach: 'loopback' | 'announced';
  readonly srtp: boolean;
  /** The addresses of both ends; only for a pipe to another node. */
  readonly ownAddress?: string | undefined;
  readonly toAddress?: string | undefined;
  /** The machine that this node runs on. */
  readonly machineId?: string | undefined;
  readonly metrics: NodeMetrics;
  readonly timers: Timers;
  readonly lingerMs: number;
  readonly onFault: (where: string, thrown: unknown) => void;
  readonly onClosed: (reason: PipeCloseReason) => void;
  /** Called once when the home sends and nothing arrives (SPEC PI14). */
  readonly onSilent: () => void;
}

/** The pulling side of a pipe between two routers: pulls tracks through it, and closes it after the last one. */
export class PipeLink {
  readonly #options: PipeLinkOptions;
  readonly #port: PipeTransport;
  readonly #tracks = new Map<TrackId, PulledTrack>();
  /** Tracks that should take another path and are still held. */
  readonly #superseded = new Map<TrackId, PulledTrack>();
  #closed = false;
  readonly #silence: SilenceWatch | undefined;

  private constructor(options: PipeLinkOptions, port: PipeTransport) {
    this.#options = options;
    this.#port = port;
    options.metrics.pipes.inc({ side: 'asking' });
    if (options.reach === 'announced') this.#silence = this.#watchSilence();
  }

  /**
   * Opens both sides and connects them. A failure leaves nothing open on either side: the home is asked to close even
   * if its answer never came.
   * @throws PlenaryError `media_lost`, `track_not_found`, `timed_out`, `media_unavailable`
   */
  static async open(options: PipeLinkOptions): Promise<PipeLink> {
    const { home, lease, toAddress, machineId } = options;
    let port: PipeTransport | undefined;
    let link: PipeLink | undefined;
    try {
      port = await lease.router.createPipeTransport(options, () => {
        link?.close('transport_closed');
      });
      await port.connect(await home.open({ end: port.end, toAddress, machineId }));
      if (port.closed) throw new PlenaryError('media_lost');
      link = new PipeLink(options, port);
      return link;
    } catch (error) {
      port?.close();
      lease.release();
      home.close().catch(
        guardCallback('background', (fault: unknown) => {
          options.onFault('pipe.close', fault);
        }),
      );
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get port(): PipeTransport {
    return this.#port;
  }

  get trackCount(): number {
    return this.#tracks.size + this.#superseded.size;
  }

  /**
   * Holds a track on the local router, and pulls it if nobody does yet.
   * @param onSuperseded - called when the track should take another path
   * @throws PlenaryError as {@link HomeSide.consume}
   */
  async hold(
    origin: TrackOrigin,
    holder: HolderKind,
    onSuperseded: () => void = () => undefined,
  ): Promise<TrackHold> {
    if (this.#closed) throw new PlenaryError('media_lost');
    const { trackId } = origin;
    const track = this.#tracks.get(trackId) ?? this.#reuseSuperseded(trackId) ?? this.#pull(origin);
    const hold = track.hold(holder, onSuperseded);
    try {
      await track.ready;
      return hold;
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  producerChanged(trackId: TrackId, state: ProducerState): void {
    this.#tracks.get(trackId)?.producerChanged(state);
    this.#superseded.get(trackId)?.producerChanged(state);
  }

  /**
   * Asks all holders of a home's tracks to use another path; the tracks continue here until every holder has released
   * them.
   */
  supersede(homeNodeId: MediaNodeId): void {
    for (const [trackId, track] of [...this.#tracks]) {
      if (track.homeNodeId !== homeNodeId) continue;
      this.#tracks.delete(trackId);
      this.#superseded.set(trackId, track);
      track.supersede();
    }
  }

  /** From now on the pipe's tracks end with their last hold, without a linger. */
  endSoon(): void {
    for (const track of [...this.#tracks.values()]) track.endSoon();
  }

  /** Bytes that the home has sent into the pipe so far. @throws PlenaryError `media_lost`, `timed_out` */
  async sentBytes(): Promise<number> {
    return this.#options.home.sentBytes();
  }

  /** Closes the pipe; consumers of tracks that came through it end. {@link PULLING_CLOSE_REASONS} says what follows. */
  close(reason: PipeCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#silence?.stop();
    for (const track of [...this.#tracks.values(), ...this.#superseded.values()]) track.close('pipe_closed');
    this.#port.close();
    this.#options.lease.release();
    this.#options.metrics.pipes.dec({ side: 'asking' });
    if (PULLING_CLOSE_REASONS[reason].notifiesHome) {
      this.#options.home.close().catch(
        guardCallback('background', (error: unknown) => {
          this.#options.onFault('pipe.close', error);
        }),
      );
    }
    this.#options.onClosed(reason);
  }

  #watchSilence(): SilenceWatch {
    const { timers, onFault, onSilent } = this.#options;
    return new SilenceWatch({
      receivedBytes: async () => (await this.#port.traffic()).receivedBytes,
      sentBytes: () => this.sentBytes(),
      isFlowing: () =>
        [...this.#tracks.values(), ...this.#superseded.values()].some((track) => track.isFlowing),
      timers,
      onFault: (thrown) => {
        onFault('pipe.traffic', thrown);
      },
      onSilent,
    });
  }

  /**
   * Makes a superseded track current again, because a router requests it over this path while others still hold it.
   */
  #reuseSuperseded(trackId: TrackId): PulledTrack | undefined {
    const track = this.#superseded.get(trackId);
    if (track === undefined) return undefined;
    this.#superseded.delete(trackId);
    this.#tracks.set(trackId, track);
    return track;
  }

  #pull(origin: TrackOrigin): PulledTrack {
    const { trackId } = origin;
    const { home, toRouterId, isRelayed, timers, lingerMs, onFault } = this.#options;
    // There is one link per pair of routers and one copy per link, so no other producer of this router has the id.
    const producerId = `${trackId}@${toRouterId}`;
    const track = new PulledTrack(origin, {
      home,
      producerId,
      isRelayed,
      produce: (piped, onClosed) => this.#port.produce({ producerId, ...piped }, onClosed),
      timers,
      lingerMs,
      onFault,
      onClosed: () => {
        for (const tracks of [this.#tracks, this.#superseded]) {
          if (tracks.get(trackId) === track) tracks.delete(trackId);
        }
        if (this.trackCount === 0) this.close('unused');
      },
    });
    this.#tracks.set(trackId, track);
    return track;
  }
}
