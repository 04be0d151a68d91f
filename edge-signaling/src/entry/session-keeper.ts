import { PlenaryError, after, every, inBackground } from '@plenary/cluster';
import type { Clock, PlacementStore, SessionClaims } from '@plenary/cluster';
import type { EdgeId, PeerId } from '@plenary/cluster/ids';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import { isBelowCarried } from '../limits/budget.ts';
import type { RemainingBudgets } from '../limits/remaining-budgets.ts';
import { MAX_BUDGETS_NAMED, MAX_SESSIONS_NAMED } from '../transport/client-socket.ts';
import type { ClientSocket, RemainingBudget, RoomChannel, SessionHold } from '../transport/client-socket.ts';
import type { Departures } from '../recovery/departures.ts';
import type { Session } from './session.ts';
import type { TenantClaims } from './tenant-claims.ts';

/** How often a session token is renewed, in milliseconds: a third of its lifetime, so that two renewals may be lost. */
export const RENEW_AFTER_MS = 300_000;
const RENEW_CHECK_MS = 10_000;
/** Resumed sessions are announced together within this time, in milliseconds: when an edge dies, there are thousands. */
const ANNOUNCE_WITHIN_MS = 20;

export interface KeeperSettings {
  readonly edgeId: EdgeId;
  /** Signs the token that proves a session to any edge. */
  readonly signToken: (claims: SessionClaims) => Promise<string>;
  readonly resumeWithinMs: number;
  readonly placements: Pick<PlacementStore, 'attachPeer' | 'placementOf'>;
  readonly localRooms: LocalRooms;
  readonly departures: Departures;
  readonly tenantClaims: TenantClaims;
  readonly channel: RoomChannel;
  readonly remainingBudgets: Pick<RemainingBudgets, 'note'>;
  /** Whether an operator ended the session's access while the client was entering. */
  readonly isEnded: (session: Session) => boolean;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** Keeps the sessions of this edge, from the answer to a join or resume until they leave, move to another edge or lapse. */
export class SessionKeeper {
  readonly #settings: KeeperSettings;
  readonly #lapses = new Map<Session, NodeJS.Timeout>();
  /** Sessions without a socket. Kept as a set, because recounting all sessions at each change is too slow in a reconnect storm. */
  readonly #waiting = new Set<Session>();
  #renewals: NodeJS.Timeout | undefined;
  #toAnnounce: SessionHold[] = [];
  #announcing: NodeJS.Timeout | undefined;
  #remainingBudgets: RemainingBudget[] = [];
  #announcingBudgets: NodeJS.Timeout | undefined;

  constructor(settings: KeeperSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#renewals = every(RENEW_CHECK_MS, () => this.#renewDue());
  }

  /** Stops all timers. Clients resume their sessions on other edges. */
  stop(): void {
    clearInterval(this.#renewals);
    this.#tellAnnounced();
    this.#announceBudgets();
    for (const timer of this.#lapses.values()) clearTimeout(timer);
    this.#lapses.clear();
  }

  /** Signs a token that proves the session to any edge, if the client also proves that it has the session's key. */
  async tokenOf(session: Session): Promise<string> {
    const { grants, peerId, displayName, key, tokenGeneration } = session;
    return this.#settings.signToken({
      ...grants,
      name: displayName,
      peer: peerId,
      cnf: { jwk: key },
      generation: tokenGeneration,
    });
  }

  /**
   * Adds a session with its socket. A session of the same peer at this edge is replaced, and its socket gets `replaced`
   * (SPEC SE29). If the new socket closed meanwhile, the session lapses unless it is resumed.
   * @param people - the number of people in the whole room, on all edges
   */
  take(session: Session, socket: ClientSocket, people: number): void {
    const { localRooms, clock } = this.#settings;
    const previous = localRooms.find(session.peerId);
    if (previous !== undefined) this.#release(previous, socket);
    session.socket = socket;
    session.renewAtMs = clock.monotonicMs() + RENEW_AFTER_MS;
    localRooms.add(session);
    // From the first request on, costs count the whole room (SPEC BU30).
    localRooms.notePeople(session.roomId, people);
    this.#settings.departures.cancel(session.placed);
    if (socket.isOpen()) socket.noteJoined();
    else this.onSocketClosed(session, socket);
    this.#count();
    if (this.#settings.isEnded(session)) inBackground(() => this.remove(session));
  }

  /** Lets the client resume for `resumeWithinMs`; then its session ends as `connection_lost` (SPEC SE4). */
  onSocketClosed(session: Session, socket: ClientSocket): void {
    if (session.socket !== socket || !this.#settings.localRooms.holds(session)) return;
    session.socket = undefined;
    this.#noteBudget(session);
    this.#waiting.add(session);
    const timer = after(this.#settings.resumeWithinMs, () => this.#lapse(session));
    this.#lapses.set(session, timer);
    this.#count();
  }

  /** Ends a session at its client's request. */
  async leave(session: Session): Promise<void> {
    session.socket?.leaveRoom(session.roomId);
    session.socket?.noteLeft();
    this.#end(session);
    await this.#settings.departures.depart({
      placed: session.placed,
      mediaNodeIds: session.allMedia.map(({ mediaNodeId }) => mediaNodeId),
      reason: 'left',
      knownHoldEpoch: undefined,
      tenantId: session.grants.tenant,
    });
  }

  /** Ends a session whose access was ended, and notifies its client. */
  async remove(session: Session): Promise<void> {
    await session.inTurn(async () => {
      if (!this.#settings.localRooms.holds(session)) return;
      const { socket } = session;
      this.#end(session);
      socket?.bye(new PlenaryError('access_revoked'));
      await this.#settings.departures.depart({
        placed: session.placed,
        mediaNodeIds: session.allMedia.map(({ mediaNodeId }) => mediaNodeId),
        reason: 'kicked',
        knownHoldEpoch: undefined,
        tenantId: session.grants.tenant,
      });
    });
  }

  /** Ends a session that the store no longer knows: the client has to join again. */
  endAsGone(session: Session): void {
    const { socket } = session;
    this.#end(session);
    inBackground(() => this.#settings.tenantClaims.release(session.grants.tenant, session.placed));
    socket?.bye(new PlenaryError('session_gone'));
  }

  /** Handles another edge's announcement that it resumed a session. An outdated announcement, of an earlier hold, is ignored. */
  heardOfHold({ peerId, holdEpoch }: SessionHold): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session !== undefined && holdEpoch > session.takenUpUnder) this.attachedElsewhere(peerId);
  }

  /** Applies the budget that a session had left at another edge. It counts once, and only from the edge that held it before (SPEC NS12). */
  heardOfBudget({ peerId, heldUnder, left }: RemainingBudget): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session?.budgetReportDueSince === undefined) return;
    if (heldUnder < session.budgetReportDueSince || heldUnder >= session.takenUpUnder) return;
    session.budgetReportDueSince = undefined;
    session.budget?.resources.lowerTo(left);
  }

  /** Releases a session that another edge resumed: its socket gets `replaced`, and nothing else changes. */
  attachedElsewhere(peerId: PeerId): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session === undefined) return;
    const left = session.budget?.resources.levels;
    // Announces only budgets below the one that a session gets at another edge anyway, so that few are announced.
    if (left !== undefined && isBelowCarried(left))
      this.#announceBudget({ peerId, heldUnder: session.knownHoldEpoch, left });
    this.#noteBudget(session);
    this.#release(session, undefined);
  }

  /**
   * Takes the hold of a session that this edge serves, because the edge that the store names does not have it. Never throws: that
   * edge looks the session up again.
   */
  async lookedUp(peerId: PeerId): Promise<void> {
    const { placements, edgeId, localRooms, reportFault } = this.#settings;
    const session = localRooms.find(peerId);
    // The client of a session without a socket may be on another edge by now.
    if (session?.socket === undefined) return;
    try {
      const { epoch } = session.media;
      const { holdEpoch } = await placements.attachPeer(session.roomId, peerId, epoch, edgeId);
      session.noteHold(epoch, holdEpoch);
    } catch (fault) {
      reportFault('sweep', fault, { doing: 'holding a session that was sought' });
    }
  }

  /** Announces to the other edges, within a moment, that this one holds the session now (SPEC HE3). */
  announce(hold: SessionHold): void {
    this.#toAnnounce.push(hold);
    if (this.#toAnnounce.length >= MAX_SESSIONS_NAMED) this.#tellAnnounced();
    else this.#announcing ??= after(ANNOUNCE_WITHIN_MS, () => this.#tellAnnounced());
  }

  #announceBudget(budget: RemainingBudget): void {
    this.#remainingBudgets.push(budget);
    if (this.#remainingBudgets.length >= MAX_BUDGETS_NAMED) this.#announceBudgets();
    else this.#announcingBudgets ??= after(ANNOUNCE_WITHIN_MS, () => this.#announceBudgets());
  }

  #announceBudgets(): void {
    clearTimeout(this.#announcingBudgets);
    this.#announcingBudgets = undefined;
    const budgets = this.#remainingBudgets;
    this.#remainingBudgets = [];
    if (budgets.length > 0) this.#settings.channel.tellEdges({ type: 'purses.left', purses: budgets });
  }

  #tellAnnounced(): void {
    clearTimeout(this.#announcing);
    this.#announcing = undefined;
    const sessions = this.#toAnnounce;
    this.#toAnnounce = [];
    const { channel, edgeId } = this.#settings;
    if (sessions.length > 0) channel.tellEdges({ type: 'sessions.attached', sessions, edgeId });
  }

  #release(session: Session, newSocket: ClientSocket | undefined): void {
    const { socket } = session;
    this.#forget(session);
    if (socket !== undefined && socket !== newSocket) socket.bye(new PlenaryError('replaced'));
  }

  /** Ends a session at this edge, and keeps its remaining budget for its person (SPEC BU66). */
  #end(session: Session): void {
    this.#noteBudget(session);
    this.#forget(session);
  }

  #noteBudget({ remembered, budget }: Session): void {
    if (budget !== undefined) this.#settings.remainingBudgets.note(remembered, budget);
  }

  #forget(session: Session): void {
    session.socket = undefined;
    clearTimeout(this.#lapses.get(session));
    this.#lapses.delete(session);
    this.#waiting.delete(session);
    this.#settings.localRooms.remove(session);
    this.#count();
  }

  async #lapse(session: Session): Promise<void> {
    const { placements, edgeId, departures, reportFault, localRooms } = this.#settings;
    this.#lapses.delete(session);
    try {
      await session.inTurn(async () => {
        if (!localRooms.holds(session) || session.socket !== undefined) return;
        const placement = await placements.placementOf(session.roomId, session.peerId);
        if (session.socket !== undefined) return;
        this.#end(session);
        // If the store lost the placement, no other edge can hold the session, and its transports must still be freed.
        if (placement === undefined || placement.edgeId === edgeId)
          await departures.depart(this.#lapseOf(session));
      });
    } catch (fault) {
      // The store is down: the waiting removal finds out which edge holds the session when the store is back.
      reportFault('departure', fault, { doing: 'lapse' });
      if (!localRooms.holds(session) || session.socket !== undefined) return;
      this.#end(session);
      await departures.depart(this.#lapseOf(session));
    }
  }

  #lapseOf(session: Session) {
    return {
      placed: session.placed,
      mediaNodeIds: session.allMedia.map(({ mediaNodeId }) => mediaNodeId),
      reason: 'connection_lost',
      knownHoldEpoch: session.knownHoldEpoch,
      tenantId: session.grants.tenant,
    } as const;
  }

  async #renewDue(): Promise<void> {
    const { clock, localRooms, reportFault } = this.#settings;
    const nowMs = clock.monotonicMs();
    for (const session of localRooms.sessions()) {
      if (session.socket === undefined || session.renewAtMs > nowMs) continue;
      session.renewAtMs = nowMs + RENEW_AFTER_MS;
      session.tokenGeneration += 1;
      try {
        session.socket.notify('session.renewed', { sessionToken: await this.tokenOf(session) });
      } catch (fault) {
        reportFault('background', fault, { doing: 'renewing a session token' });
      }
    }
  }

  #count(): void {
    const { metrics, localRooms } = this.#settings;
    metrics.sessions.set({ state: 'open' }, localRooms.sessionCount - this.#waiting.size);
    metrics.sessions.set({ state: 'waiting' }, this.#waiting.size);
  }
}
