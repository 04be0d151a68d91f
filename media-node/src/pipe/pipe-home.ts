import { guardCallback, PlenaryError, familyOf, inBackground } from '@plenary/cluster';
import type { MediaNodeId, PipeEnd, TrackId, TrackOrigin, WantedLayer } from '@plenary/cluster';
import type { MediaConsumer, PipeTransport, RoomRouter } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { TrackHold } from '../room/track-demand.ts';
import { SENDING_CLOSE_REASONS } from './close-reasons.ts';
import type { PipeHomeCloseReason } from './close-reasons.ts';
import type { PipeApproach, PipeRequester, PipedTrack, PipeKey } from './home-side.ts';
import { staysOnMachine } from './machine.ts';
import type { Machine } from './machine.ts';

/**
 * Keeps a track on a router while it is sent into a pipe; a gateway pulls it from its home for that. `onSuperseded`
 * is called when the track should come through another gateway.
 * @throws PlenaryError `track_not_found`; `media_lost` when this node is not the gateway to the track's home
 */
export type PipeSource = (
  router: RoomRouter,
  track: TrackOrigin,
  onSuperseded: () => void,
) => Promise<TrackHold>;

interface Sent {
  readonly consumer: MediaConsumer;
  readonly hold: TrackHold;
}

/** A consumer that is being opened is stored as its promise, so that a repeated request cannot make a second one. */
interface Sending {
  readonly homeNodeId: MediaNodeId;
  readonly sent: Promise<Sent>;
}

/** The home side of a pipe: sends tracks of its router into it, as the pulling side requests. */
export class PipeHome {
  readonly key: PipeKey;
  readonly requester: PipeRequester;
  readonly #lease: RouterLease;
  readonly #metrics: NodeMetrics;
  readonly #onClosed: () => void;
  readonly #holdAt: PipeSource;
  readonly #sent = new Map<TrackId, Sending>();
  #port: PipeTransport | undefined;
  #closed = false;

  private constructor(
    key: PipeKey,
    requester: PipeRequester,
    lease: RouterLease,
    holdAt: PipeSource,
    metrics: NodeMetrics,
    onClosed: () => void,
  ) {
    this.key = key;
    this.requester = requester;
    this.#lease = lease;
    this.#holdAt = holdAt;
    this.#metrics = metrics;
    this.#onClosed = onClosed;
    metrics.pipes.inc({ side: 'home' });
  }

  /**
   * Opens a port at the address that the pulling side requests, otherwise of the pulling side's address family. Packets
   * from another machine, or from one that cannot be identified, must be encrypted (SPEC PI13).
   * @throws PlenaryError `media_lost`, `media_unavailable`, `invalid_media_parameters`; nothing is left open then
   */
  static async open(options: {
    readonly key: PipeKey;
    readonly approach: PipeApproach;
    readonly machine: Machine;
    readonly reach: 'loopback' | 'announced';
    readonly requester: PipeRequester;
    readonly lease: RouterLease;
    readonly holdAt: PipeSource;
    readonly metrics: NodeMetrics;
    readonly onClosed: () => void;
  }): Promise<PipeHome> {
    const { key, approach, machine, reach, requester, lease, holdAt, metrics, onClosed } = options;
    const home = new PipeHome(key, requester, lease, holdAt, metrics, onClosed);
    try {
      const { end, toAddress } = approach;
      const srtp = end.srtpParameters !== undefined;
      const at = { ownAddress: toAddress, family: familyOf(end.address) };
      home.#port = await lease.router.createPipeTransport({ reach, srtp, ...at }, () => {
        home.close('transport_closed');
      });
      if (reach === 'announced' && !srtp && !stays(machine, approach, home.#port.end.address)) {
        throw new PlenaryError(
          'invalid_media_parameters',
          'A pipe that leaves the machine must be encrypted.',
        );
      }
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

  /** The address and keys that the pulling side connects to. */
  get end(): PipeEnd {
    if (this.#port === undefined) throw new PlenaryError('media_lost');
    return this.#port.end;
  }

  /** The homes whose tracks are sent into the pipe. */
  get homes(): ReadonlySet<MediaNodeId> {
    return new Set([...this.#sent.values()].map(({ homeNodeId }) => homeNodeId));
  }

  /** Asks the other side to get a home's tracks over another path. */
  requestMove(homeNodeId: MediaNodeId): void {
    this.requester.moved(this.key, homeNodeId);
  }

  /** Sends a track; a repeat returns the same consumer. @throws PlenaryError `track_not_found`, `media_lost` */
  async consume(track: TrackOrigin): Promise<PipedTrack> {
    const port = this.#port;
    if (this.#closed || port === undefined) throw new PlenaryError('media_lost');
    const known = this.#sent.get(track.trackId) ?? this.#startSending(port, track);
    const { kind, rtpParameters, producerPaused } = (await known.sent).consumer;
    return { kind, rtpParameters, paused: producerPaused };
  }

  /** A track that is not in the pipe has ended meanwhile: nothing changes. @throws PlenaryError `media_lost` */
  async setWanted(trackId: TrackId, wanted: WantedLayer): Promise<void> {
    const sent = await this.#sent.get(trackId)?.sent;
    if (sent === undefined || sent.consumer.closed) return;
    sent.hold.setWanted(wanted);
    await sent.consumer.setPaused(wanted === null);
  }

  release(trackId: TrackId): void {
    const sending = this.#sent.get(trackId);
    this.#sent.delete(trackId);
    inBackground(() =>
      sending?.sent.then(
        ({ consumer }) => {
          consumer.close();
        },
        () => undefined, // The request for the track got the error; there is nothing to release.
      ),
    );
  }

  /** RTP bytes sent into the pipe so far. @throws PlenaryError `media_lost` */
  async sentBytes(): Promise<number> {
    if (this.#closed || this.#port === undefined) throw new PlenaryError('media_lost');
    return (await this.#port.traffic()).sentBytes;
  }

  /** Closes the pipe. {@link SENDING_CLOSE_REASONS} says what follows. */
  close(reason: PipeHomeCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port?.close();
    this.#sent.clear();
    this.#lease.release();
    this.#metrics.pipes.dec({ side: 'home' });
    if (SENDING_CLOSE_REASONS[reason].notifiesRequester) this.requester.closed(this.key);
    this.#onClosed();
  }

  #startSending(port: PipeTransport, track: TrackOrigin): Sending {
    const { trackId } = track;
    // A track that was released and requested again meanwhile has another entry, which must stay.
    const isCurrent = (): boolean => this.#sent.get(trackId) === sending;
    const sending: Sending = {
      homeNodeId: track.homeNodeId,
      sent: this.#send(port, track, isCurrent),
    };
    this.#sent.set(trackId, sending);
    sending.sent.catch(
      guardCallback('background', () => {
        // The request got the error; the entry is removed so that the next request tries again.
        if (isCurrent()) this.#sent.delete(trackId);
      }),
    );
    return sending;
  }

  async #send(port: PipeTransport, track: TrackOrigin, isCurrent: () => boolean): Promise<Sent> {
    const { trackId } = track;
    const hold = await this.#holdAt(this.#lease.router, track, () => {
      if (isCurrent()) this.requester.moved(this.key, track.homeNodeId);
    });
    try {
      if (this.#closed) throw new PlenaryError('media_lost');
      const consumer = await port.consume(hold.producerId, {
        closed: (cause) => {
          hold.release();
          if (!isCurrent()) return;
          this.#sent.delete(trackId);
          if (cause === 'producer_closed') this.requester.producerChanged(this.key, trackId, 'ended');
        },
        producerPaused: (paused) => {
          this.requester.producerChanged(this.key, trackId, paused ? 'paused' : 'resumed');
        },
      });
      return { consumer, hold };
    } catch (error) {
      hold.release();
      throw error;
    }
  }
}

const stays = (machine: Machine, { end, machineId }: PipeApproach, ownAddress: string): boolean =>
  machine.hasAddress(ownAddress) && staysOnMachine(machine, { machineId, address: end.address });
