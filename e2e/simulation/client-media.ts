import type { Epoch, TransportId } from '@plenary/cluster';
import { TRANSPORT_ID } from '@plenary/cluster/ids';
import { Replaceable } from '@plenary/cluster/make-before-break';
import type { MediaOffer } from '@plenary/cluster/protocol';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { Ether } from './engine/host.ts';

/** mediasoup notices that a client is gone after this time, in milliseconds. */
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

/** Where a simulated client's media is. */
export class ClientMedia {
  readonly #world: ClientMediaWorld;
  readonly #sessions = new Replaceable<SimulatedMedia>({
    // The client asks when it pursues what it wants, and tries again then.
    open: () => undefined,
    // The client looks whether everything goes by the newer one when it pursues what it wants.
    watch: () => undefined,
    promote: () => undefined,
    close: (media) => this.#endIce(media),
    missing: () => undefined,
  });
  /** Names the newest that was open. */
  #epoch: Epoch | undefined;
  /** Media that its node asked the client to leave. */
  #toLeave: Epoch | undefined;
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

  /** Whether two media sessions are open: not everything has moved. */
  get isMoving(): boolean {
    return this.#sessions.state.phase === 'overlapping';
  }

  /** How often it was lost. */
  get losses(): number {
    return this.#losses;
  }

  get sendTransportId(): TransportId | undefined {
    return this.#sessions.newest?.sendTransportId;
  }

  /** A session that was opened in the place of whatever there was. */
  opened(offer: MediaOffer): void {
    this.#sessions.dispatch({ type: 'closed' });
    this.#sessions.dispatch({ type: 'given', item: this.#take(offer) });
    this.#epoch = offer.epoch;
  }

  /** Its node is to be left. */
  leave(epoch: Epoch): void {
    this.#toLeave = epoch;
  }

  /** Begins to leave the node that is to be left. @returns the attempt, and what is left; what fails is asked again by the node */
  beginToMove(): { readonly attempt: number; readonly moveFrom: Epoch } | undefined {
    const moveFrom = this.#toLeave;
    this.#toLeave = undefined;
    if (moveFrom === undefined || moveFrom !== this.#epoch || this.#sessions.state.phase !== 'steady')
      return undefined;
    this.#sessions.dispatch({ type: 'begin' });
    return { attempt: this.#sessions.state.attempt, moveFrom };
  }

  /** @returns whether everything is to go by it from now on, while the other one goes on */
  openedBeside(attempt: number, offer: MediaOffer | undefined): boolean {
    const isAwaited = this.#sessions.awaits(attempt);
    if (offer === undefined) this.#sessions.dispatch({ type: 'failed', attempt });
    else {
      this.#sessions.dispatch({ type: 'opened', attempt, item: this.#take(offer) });
      if (isAwaited) this.#epoch = offer.epoch;
    }
    return isAwaited && offer !== undefined;
  }

  /** Names the move that is under way. */
  get move(): { readonly attempt: number; readonly epoch: Epoch } | undefined {
    const { state } = this.#sessions;
    if (state.phase !== 'overlapping') return undefined;
    return { attempt: state.attempt, epoch: state.next.epoch };
  }

  /** Everything goes by the newer one. */
  moved(attempt: number): void {
    this.#sessions.dispatch({ type: 'carries', attempt });
  }

  lost(): void {
    if (this.isOpen) this.#losses += 1;
    this.#toLeave = undefined;
    this.close();
  }

  close(): void {
    this.#sessions.dispatch({ type: 'closed' });
  }

  #take({ epoch, sendTransport, receiveTransport }: MediaOffer): SimulatedMedia {
    const sendTransportId = sendTransport === undefined ? undefined : TRANSPORT_ID.parse(sendTransport.id);
    const receiveTransportId = TRANSPORT_ID.parse(receiveTransport.id);
    const transports = sendTransportId === undefined ? [] : [sendTransportId];
    return { epoch, sendTransportId, transports: [...transports, receiveTransportId] };
  }

  /** The client's side of its transports is closed: the media node notices after a while. */
  #endIce({ transports }: SimulatedMedia): void {
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
