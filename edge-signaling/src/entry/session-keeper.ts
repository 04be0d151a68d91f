import { PlenaryError, after, every, inBackground } from '@plenary/cluster';
import type { Clock, PlacementStore, SessionClaims } from '@plenary/cluster';
import type { EdgeId, PeerId } from '@plenary/cluster/ids';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import { isBelowCarried } from '../limits/budget.ts';
import type { LeftPurses } from '../limits/left-purses.ts';
import { MAX_PURSES_NAMED, MAX_SESSIONS_NAMED } from '../transport/client-socket.ts';
import type { ClientSocket, PurseLeft, RoomChannel, SessionHold } from '../transport/client-socket.ts';
import type { Departures } from '../recovery/departures.ts';
import type { Session } from './session.ts';
import type { TenantClaims } from './tenant-claims.ts';

/** A third of a session token's life: two renewals may be lost. */
export const RENEW_AFTER_MS = 300_000;
const RENEW_CHECK_MS = 10_000;
/** Sessions that were taken up within this time are told of together: when an edge dies, they are thousands. */
const ANNOUNCE_WITHIN_MS = 20;

export interface KeeperSettings {
  readonly edgeId: EdgeId;
  /** Signs what proves a session to any edge. */
  readonly signToken: (claims: SessionClaims) => Promise<string>;
  readonly resumeWithinMs: number;
  readonly placements: Pick<PlacementStore, 'attachPeer' | 'placementOf'>;
  readonly localRooms: LocalRooms;
  readonly departures: Departures;
  readonly tenantClaims: TenantClaims;
  readonly channel: RoomChannel;
  readonly leftPurses: Pick<LeftPurses, 'note'>;
  /** Whether its access was just ended, while it was on the way here. */
  readonly isEnded: (session: Session) => boolean;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** Keeps the sessions of this edge: from the answer to a join or resume until they leave, move away or lapse. */
export class SessionKeeper {
  readonly #settings: KeeperSettings;
  readonly #lapses = new Map<Session, NodeJS.Timeout>();
  /** Sessions whose socket is gone: counted here, since to count all of them at each change would take a storm's time. */
  readonly #waiting = new Set<Session>();
  #renewals: NodeJS.Timeout | undefined;
  #toAnnounce: SessionHold[] = [];
  #announcing: NodeJS.Timeout | undefined;
  #purses: PurseLeft[] = [];
  #tellingPurses: NodeJS.Timeout | undefined;

  constructor(settings: KeeperSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#renewals = every(RENEW_CHECK_MS, () => this.#renewDue());
  }

  /** Stops all timers. Sessions are left to other edges, which the clients go to. */
  stop(): void {
    clearInterval(this.#renewals);
    this.#tellAnnounced();
    this.#tellPurses();
    for (const timer of this.#lapses.values()) clearTimeout(timer);
    this.#lapses.clear();
  }

  /** Signs a token that proves the session to any edge, in the hands of who holds its key. */
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
   * Takes a session in on a socket, in place of one of the same peer that may be here already, whose socket is told
   * `replaced` (SPEC SE29). A socket that closed meanwhile gives a session that lapses unless it is resumed.
   * @param people - in the whole room, on all edges
   */
  take(session: Session, socket: ClientSocket, people: number): void {
    const { localRooms, clock } = this.#settings;
    const previous = localRooms.find(session.peerId);
    if (previous !== undefined) this.#letGo(previous, socket);
    session.socket = socket;
    session.renewAtMs = clock.monotonicMs() + RENEW_AFTER_MS;
    localRooms.add(session);
    // Requests are paid for the whole room from the first one on (SPEC BU30).
    localRooms.notePeople(session.roomId, people);
    this.#settings.departures.cancel(session.placed);
    if (socket.isOpen()) socket.noteJoined();
    else this.onSocketClosed(session, socket);
    this.#count();
    if (this.#settings.isEnded(session)) inBackground(() => this.remove(session));
  }

  /** The client may come back for `resumeWithinMs`; then its session ends as `connection_lost` (SPEC SE4). */
  onSocketClosed(session: Session, socket: ClientSocket): void {
    if (session.socket !== socket || !this.#settings.localRooms.holds(session)) return;
    session.socket = undefined;
    this.#notePurse(session);
    this.#waiting.add(session);
    const timer = after(this.#settings.resumeWithinMs, () => this.#lapse(session));
    this.#lapses.set(session, timer);
    this.#count();
  }

  /** Ends a session as its client asked. */
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

  /** Ends a session that was taken away from its person, who is told so. */
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

  /** Another edge says that it took a session up. It may be told again what was true before the session came here. */
  heardOfHold({ peerId, holdEpoch }: SessionHold): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session !== undefined && holdEpoch > session.takenUpUnder) this.attachedElsewhere(peerId);
  }

  /** Another edge says what a session had left there. It counts once, where the session was taken up from that edge (SPEC NS12). */
  heardOfPurse({ peerId, heldUnder, left }: PurseLeft): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session?.purseOwedSince === undefined) return;
    if (heldUnder < session.purseOwedSince || heldUnder >= session.takenUpUnder) return;
    session.purseOwedSince = undefined;
    session.purse?.budget.lowerTo(left);
  }

  /** Another edge took a session up: its socket here is told so, and nothing else changes. */
  attachedElsewhere(peerId: PeerId): void {
    const session = this.#settings.localRooms.find(peerId);
    if (session === undefined) return;
    const left = session.purse?.budget.levels;
    // Sessions that have more left than any session finds on another edge are not told of: so hardly any is.
    if (left !== undefined && isBelowCarried(left))
      this.#tellPurse({ peerId, heldUnder: session.knownHoldEpoch, left });
    this.#notePurse(session);
    this.#letGo(session, undefined);
  }

  /** The store names another edge for a session, which does not have it. Never throws: it is looked up again. */
  async lookedUp(peerId: PeerId): Promise<void> {
    const { placements, edgeId, localRooms, reportFault } = this.#settings;
    const session = localRooms.find(peerId);
    // One whose client is away may be on another edge by now.
    if (session?.socket === undefined) return;
    try {
      const { epoch } = session.media;
      const { holdEpoch } = await placements.attachPeer(session.roomId, peerId, epoch, edgeId);
      session.noteHold(epoch, holdEpoch);
    } catch (fault) {
      reportFault('sweep', fault, { doing: 'holding a session that was sought' });
    }
  }

  /** Tells the other edges, within a moment, that this one holds the session now (SPEC HE3). */
  announce(hold: SessionHold): void {
    this.#toAnnounce.push(hold);
    if (this.#toAnnounce.length >= MAX_SESSIONS_NAMED) this.#tellAnnounced();
    else this.#announcing ??= after(ANNOUNCE_WITHIN_MS, () => this.#tellAnnounced());
  }

  #tellPurse(purse: PurseLeft): void {
    this.#purses.push(purse);
    if (this.#purses.length >= MAX_PURSES_NAMED) this.#tellPurses();
    else this.#tellingPurses ??= after(ANNOUNCE_WITHIN_MS, () => this.#tellPurses());
  }

  #tellPurses(): void {
    clearTimeout(this.#tellingPurses);
    this.#tellingPurses = undefined;
    const purses = this.#purses;
    this.#purses = [];
    if (purses.length > 0) this.#settings.channel.tellEdges({ type: 'purses.left', purses });
  }

  #tellAnnounced(): void {
    clearTimeout(this.#announcing);
    this.#announcing = undefined;
    const sessions = this.#toAnnounce;
    this.#toAnnounce = [];
    const { channel, edgeId } = this.#settings;
    if (sessions.length > 0) channel.tellEdges({ type: 'sessions.attached', sessions, edgeId });
  }

  #letGo(session: Session, newSocket: ClientSocket | undefined): void {
    const { socket } = session;
    this.#forget(session);
    if (socket !== undefined && socket !== newSocket) socket.bye(new PlenaryError('replaced'));
  }

  /** The session is over here: what it spent, its person spent (SPEC BU66). */
  #end(session: Session): void {
    this.#notePurse(session);
    this.#forget(session);
  }

  #notePurse({ remembered, purse }: Session): void {
    if (purse !== undefined) this.#settings.leftPurses.note(remembered, purse);
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
        // What the store forgot nobody else can hold, and its media has to go all the same.
        if (placement === undefined || placement.edgeId === edgeId)
          await departures.depart(this.#lapseOf(session));
      });
    } catch (fault) {
      // The store is away: who holds the session is decided when it is back.
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
