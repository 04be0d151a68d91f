import { PlenaryError } from '@plenary/cluster';
import type { RequestId } from '@plenary/cluster/ids';
import type { ClientReply } from '@plenary/cluster/protocol';
import type { Cost } from '../limits/cost.ts';
import { Meter } from '../limits/meter.ts';
import type { EdgeBudgets, Payers, Verdict } from '../limits/meter.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { ClientSocket } from '../transport/client-socket.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { personOf, rememberedAs } from './person.ts';
import { nextSocketState } from './socket-state.ts';
import type { SocketEvent, SocketState } from './socket-state.ts';
import type { Session } from './session.ts';

/** What a join under way is known by; a resume has no request id and no repeat. */
export interface PendingJoin {
  readonly requestId: RequestId | undefined;
  readonly reply: Promise<ClientReply<'join'>> | undefined;
}

/** One connection of a client: its state, and what it may still ask for. */
export class ClientConnection {
  readonly socket: ClientSocket;
  /** Requests that are being carried out. */
  requestsUnderWay = 0;
  #isSyncing = false;
  readonly #meter: Meter;
  readonly #budgets: EdgeBudgets;
  readonly #localRooms: Pick<LocalRooms, 'peopleIn'>;
  readonly #keeper: Pick<SessionKeeper, 'onSocketClosed'>;
  #state: SocketState<Session, PendingJoin> = { phase: 'connected' };

  constructor(
    socket: ClientSocket,
    keeper: Pick<SessionKeeper, 'onSocketClosed'>,
    budgets: EdgeBudgets,
    localRooms: Pick<LocalRooms, 'peopleIn'>,
  ) {
    this.socket = socket;
    this.#keeper = keeper;
    this.#budgets = budgets;
    this.#meter = new Meter(budgets, socket.address);
    this.#localRooms = localRooms;
  }

  /** Charges what a request costs (SPEC BU4). */
  charge(cost: Cost): Verdict {
    return this.#meter.charge(cost, this.#payers(), this.people);
  }

  /** Charges the room and the tenant for coming in or coming back (SPEC BU15). */
  chargeEntry(cost: Cost, payers: Payers): Verdict {
    return this.#meter.chargeEntry(cost, payers, this.#localRooms.peopleIn(payers.roomId));
  }

  /** Charges what turned out only afterwards, or, negative, gives back what was not needed. */
  adjustCharge(cost: Cost): void {
    this.#meter.adjust(cost, this.#payers(), this.people);
  }

  /** Charges what the answer to a join or a resume carried: to those who pay for requests, and to what pays for coming in. */
  adjustEntryCharge(cost: Cost): void {
    this.adjustCharge(cost);
    const payers = this.#payers();
    if (payers !== undefined) this.#meter.adjustEntry(cost, payers, this.people);
  }

  /**
   * From now on the session pays: one that was begun before goes on with what it has left, a new one with what this connection
   * has left (SPEC BU35), or what its person left behind, where that is less (BU66). So do its frames (BU61).
   * @param owed - what this connection spent to take it up
   */
  payFrom(session: Session, owed: Cost): void {
    session.remembered = rememberedAs(session.grants, this.socket.address);
    if (session.budget === undefined) {
      session.budget = this.#meter.sessionBudget;
      this.#budgets.remaining.lower(session.remembered, session.budget);
    } else if (session.budget !== this.#meter.sessionBudget) {
      this.#meter.payFrom(session.budget, owed);
    }
    this.socket.payFramesFrom(session.budget.frames, personOf(session.grants));
  }

  /** How many people are in its room, as far as this edge knows: the audience of what it does. */
  get people(): number {
    return this.#state.phase === 'joined' ? this.#localRooms.peopleIn(this.#state.session.roomId) : 0;
  }

  #payers(): Payers | undefined {
    if (this.#state.phase !== 'joined') return undefined;
    const { roomId, grants } = this.#state.session;
    return { roomId, tenantId: grants.tenant, person: personOf(grants) };
  }

  get state(): SocketState<Session, PendingJoin> {
    return this.#state;
  }

  /** @throws PlenaryError `out_of_order` */
  apply(event: SocketEvent<Session, PendingJoin>): void {
    this.#state = nextSocketState(this.#state, event);
  }

  /** The session of a joined connection. @throws PlenaryError `out_of_order` */
  get session(): Session {
    if (this.#state.phase !== 'joined') throw new PlenaryError('out_of_order');
    return this.#state.session;
  }

  /**
   * Catches up, if that is not under way already: what a second one would ask for, the first one gives (SPEC BU29).
   * @throws PlenaryError `rate_limited`
   */
  async oneSync<Result>(sync: () => Promise<Result>): Promise<Result> {
    if (this.#isSyncing) throw new PlenaryError('rate_limited', 'One sync at a time.');
    this.#isSyncing = true;
    try {
      return await sync();
    } finally {
      this.#isSyncing = false;
    }
  }

  /** The socket closed, for whatever reason: the client may resume. */
  close(): void {
    const state = this.#state;
    this.apply({ type: 'closed' });
    if (state.phase === 'joined') this.#keeper.onSocketClosed(state.session, this.socket);
  }
}
