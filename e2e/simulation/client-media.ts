import type { Epoch, TransportId } from '@plenary/cluster';
import { TRANSPORT_ID } from '@plenary/cluster/ids';
import { Replaceable } from '@plenary/cluster/make-before-break';
import type { MediaOffer } from '@plenary/cluster/protocol';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { Ether } from './engine/host.ts';

/** mediasoup notices a client's absence after this time, in milliseconds. */
const ICE_TIMEOUT_MS = 30_000;

/** The transports of one media session. */
interface SimulatedMedia {
  readonly epoch: Epoch;
  readonly sendTransportId: TransportId | undefined;
  readonly transports: readonly TransportId[];
}

export interface ClientMediaWorld {
  readonly net: Net;
  readonly ether: Ether;
}

/** The media sessions of a simulated client. */
export class ClientMedia {
  readonly #world: ClientMediaWorld;
  readonly #sessions = new Replaceable<SimulatedMedia>({
    // `ClientTracks.pursue` requests the session, and retries.
    open: () => undefined,
    // `ClientTracks.pursue` checks whether the newer session carries everything.
    watch: () => undefined,
    promote: () => undefined,
    close: (media) => this.#expireIce(media),
    missing: () => undefined,
  });
  /** The epoch of the newest session that was opened. */
  #epoch: Epoch | undefined;
  /** The epoch of the session that its media node asked the client to move from. */
  #moveRequestedFrom: Epoch | undefined;
  #losses = 0;

  constructor(world: ClientMediaWorld) {
    this.#world = world;
  }

  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  get isOpen(): boolean {
    return this.#sessions.newest !== undefined;
  }

  /** Whether two media sessions are open, because a move is not complete. */
  get isMoving(): boolean {
    return this.#sessions.state.phase === 'overlapping';
  }

  /** How many media sessions the client lost. */
  get losses(): number {
    return this.#losses;
  }

  get sendTransportId(): TransportId | undefined {
    return this.#sessions.newest?.sendTransportId;
  }

  /** A new session replaces the one before, if there was one. */
  opened(offer: MediaOffer): void {
    this.#sessions.dispatch({ type: 'closed' });
    this.#sessions.dispatch({ type: 'given', item: this.#accept(offer) });
    this.#epoch = offer.epoch;
  }

  /** The media node asks the client to move its session to another node. */
  requestMove(epoch: Epoch): void {
    this.#moveRequestedFrom = epoch;
  }

  /** Begins a requested move. @returns the attempt and the epoch to move from; after a failure the node repeats its request */
  beginToMove(): { readonly attempt: number; readonly moveFrom: Epoch } | undefined {
    const moveFrom = this.#moveRequestedFrom;
    this.#moveRequestedFrom = undefined;
    if (moveFrom === undefined || moveFrom !== this.#epoch || this.#sessions.state.phase !== 'steady')
      return undefined;
    this.#sessions.dispatch({ type: 'begin' });
    return { attempt: this.#sessions.state.attempt, moveFrom };
  }

  /** @returns whether the new session is to carry everything from now on; the old one stays open meanwhile */
  openedBeside(attempt: number, offer: MediaOffer | undefined): boolean {
    const isAwaited = this.#sessions.awaits(attempt);
    if (offer === undefined) this.#sessions.dispatch({ type: 'failed', attempt });
    else {
      this.#sessions.dispatch({ type: 'opened', attempt, item: this.#accept(offer) });
      if (isAwaited) this.#epoch = offer.epoch;
    }
    return isAwaited && offer !== undefined;
  }

  /** The move in progress: its attempt and the new session's epoch. */
  get move(): { readonly attempt: number; readonly epoch: Epoch } | undefined {
    const { state } = this.#sessions;
    if (state.phase !== 'overlapping') return undefined;
    return { attempt: state.attempt, epoch: state.next.epoch };
  }

  /** The newer session carries everything. */
  moved(attempt: number): void {
    this.#sessions.dispatch({ type: 'carries', attempt });
  }

  lost(): void {
    if (this.isOpen) this.#losses += 1;
    this.#moveRequestedFrom = undefined;
    this.close();
  }

  close(): void {
    this.#sessions.dispatch({ type: 'closed' });
  }

  #accept({ epoch, sendTransport, receiveTransport }: MediaOffer): SimulatedMedia {
    const sendTransportId = sendTransport === undefined ? undefined : TRANSPORT_ID.parse(sendTransport.id);
    const receiveTransportId = TRANSPORT_ID.parse(receiveTransport.id);
    const transports = sendTransportId === undefined ? [] : [sendTransportId];
    return { epoch, sendTransportId, transports: [...transports, receiveTransportId] };
  }

  /** Closes the client's side of its transports; the media node notices when ICE times out. */
  #expireIce({ transports }: SimulatedMedia): void {
    const { ether, net } = this.#world;
    for (const transportId of transports) {
      const host = ether.ice.get(transportId)?.host;
      if (host === undefined) continue;
      net.time.schedule(ICE_TIMEOUT_MS, host.life, undefined, () => {
        ether.ice.get(transportId)?.onChange('disconnected');
      });
    }
  }
}
