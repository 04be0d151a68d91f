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

/** Identifies a join under way; a resume has no request id and is not repeated. */
export interface PendingJoin {
  readonly requestId: RequestId | undefined;
  readonly reply: Promise<ClientReply<'join'>> | undefined;
}

/** One connection of a client: its state, and the budget that its requests are charged to. */
export class ClientConnection {
  readonly socket: ClientSocket;
  /** The number of requests that are being handled. */
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

  /** Charges the cost of a request (SPEC BU4). */
  charge(cost: Cost): Verdict {
    return this.#meter.charge(cost, this.#payers(), this.people);
  }

  /** Charges the room and the tenant for a join or a resume (SPEC BU15). */
  chargeEntry(cost: Cost, payers: Payers): Verdict {
    return this.#meter.chargeEntry(cost, payers, this.#localRooms.peopleIn(payers.roomId));
  }

  /** Charges a cost that is known only after the request; a negative cost returns what was charged too much. */
  adjustCharge(cost: Cost): void {
    this.#meter.adjust(cost, this.#payers(), this.people);
  }

  /** Charges the answer to a join or a resume: to the budgets of requests, and to those of entries. */
  adjustEntryCharge(cost: Cost): void {
    this.adjustCharge(cost);
    const payers = this.#payers();
    if (payers !== undefined) this.#meter.adjustEntry(cost, payers, this.people);
  }

  /**
   * Charges the session from now on. A resumed session continues with its remaining budget. A new one gets the rest of this
   * connection's budget (SPEC BU35), or of the budget that its person left behind, whichever is less (BU66). Its frames are
   * charged in the same way (BU61).
   * @param owed - the cost of the entry, which this connection spent
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

  /** The number of people in its room, as far as this edge knows: they receive the events that its requests cause. */
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
   * Runs a sync unless one is under way, whose answer serves the client as well (SPEC BU29).
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

  /** Handles the end of the socket, whatever its cause: the client may resume. */
  close(): void {
    const state = this.#state;
    this.apply({ type: 'closed' });
    if (state.phase === 'joined') this.#keeper.onSocketClosed(state.session, this.socket);
  }
}
