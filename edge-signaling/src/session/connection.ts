import { PlenaryError } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { RequestId } from '@plenary/cluster/ids';
import type { ClientReply } from '@plenary/cluster/protocol';
import { FloodGuard } from '../limits/flood-guard.ts';
import type { ClientSocket } from '../transport/client-socket.ts';
import type { SessionKeeper } from './keeper.ts';
import { transition } from './session-state.ts';
import type { ConnectionEvent, ConnectionState } from './session-state.ts';
import type { Session } from './session.ts';

/** What a join under way is known by; a resume has no request id and no repeat. */
export interface Entry {
  readonly requestId: RequestId | undefined;
  readonly reply: Promise<ClientReply<'join'>> | undefined;
}

/** One connection of a client: its state, and what it may still ask for. */
export class Connection {
  readonly socket: ClientSocket;
  readonly floodGuard: FloodGuard;
  /** Requests that are being carried out. */
  requestsUnderWay = 0;
  readonly #keeper: SessionKeeper;
  #state: ConnectionState<Session, Entry> = { phase: 'connected' };

  constructor(socket: ClientSocket, keeper: SessionKeeper, clock: Clock) {
    this.socket = socket;
    this.#keeper = keeper;
    this.floodGuard = new FloodGuard(clock);
  }

  get state(): ConnectionState<Session, Entry> {
    return this.#state;
  }

  /** @throws PlenaryError `out_of_order` */
  apply(event: ConnectionEvent<Session, Entry>): void {
    this.#state = transition(this.#state, event);
  }

  /** The session of a joined connection. @throws PlenaryError `out_of_order` */
  get session(): Session {
    if (this.#state.phase !== 'joined') throw new PlenaryError('out_of_order');
    return this.#state.session;
  }

  /** The socket closed, for whatever reason: the client may resume. */
  close(): void {
    const state = this.#state;
    this.apply({ type: 'closed' });
    if (state.phase === 'joined') this.#keeper.onSocketClosed(state.session, this.socket);
  }
}
