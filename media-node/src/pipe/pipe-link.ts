import { PlenaryError } from '@plenary/cluster';
import type { TrackId, TrackOrigin } from '@plenary/cluster';
import type { PipePort } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { Timers } from '../room/timers.ts';
import type { TrackHold } from '../room/track-demand.ts';
import type { HomeSide, ProducerState } from './home-side.ts';
import { PulledTrack } from './pulled-track.ts';

export type PipeCloseReason =
  'unused' | 'home_closed' | 'link_broken' | 'port_closed' | 'node_stopping' | 'superseded';

export interface PipeLinkOptions {
  readonly home: HomeSide;
  readonly lease: RouterLease;
  readonly reach: 'loopback' | 'announced';
  readonly srtp: boolean;
  readonly metrics: NodeMetrics;
  readonly timers: Timers;
  readonly lingerMs: number;
  readonly onFault: (where: string, thrown: unknown) => void;
  readonly onClosed: (reason: PipeCloseReason) => void;
}

/** The asking side of a pipe between two routers: it pulls tracks through it, and closes it when none is left. */
export class PipeLink {
  readonly #options: PipeLinkOptions;
  readonly #port: PipePort;
  readonly #tracks = new Map<TrackId, PulledTrack>();
  #closed = false;

  private constructor(options: PipeLinkOptions, port: PipePort) {
    this.#options = options;
    this.#port = port;
    options.metrics.pipes.inc({ side: 'asking' });
  }

  /**
   * Opens both sides and connects them. When anything fails, nothing is left on either side: the home is told to close
   * even if its answer never came.
   * @throws PlenaryError `media_lost`, `track_not_found`, `timed_out`, `media_unavailable`
   */
  static async open(options: PipeLinkOptions): Promise<PipeLink> {
    const { home, lease } = options;
    let port: PipePort | undefined;
    let link: PipeLink | undefined;
    try {
      port = await lease.router.createPipePort({ reach: options.reach, srtp: options.srtp }, () => {
        link?.close('port_closed');
      });
      await port.connect(await home.open(port.end));
      if (port.closed) throw new PlenaryError('media_lost');
      link = new PipeLink(options, port);
      return link;
    } catch (error) {
      port?.close();
      lease.release();
      home.close().catch((fault: unknown) => {
        options.onFault('pipe.close', fault);
      });
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get port(): PipePort {
    return this.#port;
  }

  get trackCount(): number {
    return this.#tracks.size;
  }

  /** Whether a track comes, or is about to come, through this pipe. */
  carries(trackId: TrackId): boolean {
    return !this.#closed && this.#tracks.has(trackId);
  }

  /** Holds a track on the local router, pulling it if nobody does yet. @throws PlenaryError as {@link HomeSide.consume} */
  async hold(origin: TrackOrigin, lowerDelayMs: number): Promise<TrackHold> {
    if (this.#closed) throw new PlenaryError('media_lost');
    const track = this.#tracks.get(origin.trackId) ?? this.#pull(origin);
    const hold = track.hold(lowerDelayMs);
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
  }

  /** Closes the pipe; consumers of what came through it end. The home is told unless it told us. */
  close(reason: PipeCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const track of [...this.#tracks.values()]) track.close('pipe_closed');
    this.#port.close();
    this.#options.lease.release();
    this.#options.metrics.pipes.dec({ side: 'asking' });
    if (reason !== 'home_closed' && reason !== 'link_broken') {
      this.#options.home.close().catch((error: unknown) => {
        this.#options.onFault('pipe.close', error);
      });
    }
    this.#options.onClosed(reason);
  }

  #pull(origin: TrackOrigin): PulledTrack {
    const { trackId } = origin;
    const { home, timers, lingerMs, onFault } = this.#options;
    const track = new PulledTrack(origin, {
      home,
      produce: (piped, onClosed) => this.#port.produce({ trackId, ...piped }, onClosed),
      timers,
      lingerMs,
      onFault,
      onClosed: () => {
        if (this.#tracks.get(trackId) === track) this.#tracks.delete(trackId);
        if (this.#tracks.size === 0) this.close('unused');
      },
    });
    this.#tracks.set(trackId, track);
    return track;
  }
}
