import type { KeyObject } from 'node:crypto';
import { digestOfSubject, PlenaryError, toPlenaryError, Turns } from '@plenary/cluster';
import type {
  ErrorCode,
  JoinGrants,
  Placement,
  PlacementStore,
  RejoinClaims,
  RoomLog,
  RoomView,
  SessionGrants,
  TenantStore,
} from '@plenary/cluster';
import type { PeerId, RoomId, TenantId } from '@plenary/cluster/ids';
import { roomIdOf } from '@plenary/cluster/ids';
import type { ClientRequest, MediaRequest } from '@plenary/cluster/protocol';
import type { AdmittedPerson, Authenticator } from './tokens/authenticate.ts';
import { derivePeerId } from './tokens/peer-id.ts';
import { mayPublishAnything } from './permissions.ts';
import { networkOf } from '../media/network-of.ts';
import type { HostRequest, Placer } from '../media/placer.ts';
import { checkVersion } from '../rpc/versioned.ts';
import type { ClientSocket, RoomChannel } from '../transport/client-socket.ts';
import type { Departures } from '../recovery/departures.ts';
import { digestOfPerson } from './person.ts';
import { Session } from './session.ts';
import type { TenantClaims } from './tenant-claims.ts';
import { carryBudget } from './carried-budget.ts';
import { notFoundAs } from './entered.ts';
import type { Entered, Entering } from './entered.ts';
import { Resumption } from './resumption.ts';
import type { ResumptionSettings } from './resumption.ts';
import { sessionNote } from './session-note.ts';

/** A client waits ten seconds for an answer; the edge answers before, so that both agree on the outcome. */
export const ENTRY_DEADLINE_MS = 9_000;
/** The deadline of a join, its entrant, and its place at the gate. */
type Turn = Pick<HostRequest, 'deadlineMs' | 'entrant' | 'place'>;

type Joined = Awaited<ReturnType<RoomLog['joinPeer']>>;

export interface EntranceSettings extends ResumptionSettings {
  readonly authenticator: Pick<Authenticator, 'join' | 'resume' | 'session'>;
  readonly tenants: Pick<TenantStore, 'isRevoked' | 'isEnded'>;
  readonly placements: Pick<PlacementStore, 'attachPeer' | 'confirmToken' | 'placementOf'>;
  /** The key that peer ids are derived from. */
  readonly peerIdKey: KeyObject;
  /** Resolves to `undefined` if the time in which this person may come back is over. */
  readonly signRejoinToken: (claims: RejoinClaims) => Promise<string | undefined>;
  readonly roomLog: Pick<RoomLog, 'joinPeer'>;
  readonly placer: Placer;
  readonly departures: Departures;
  readonly tenantClaims: TenantClaims;
  readonly channel: RoomChannel;
  /** Called with each room that a join is about to change, so that the sweep finds records of unanswered commands there. */
  readonly onEntering: (roomId: RoomId) => void;
  /** Called with the result of each join whose token was valid. */
  readonly onOutcome: (tenantId: TenantId, result: 'ok' | ErrorCode) => void;
}

/** The two ways into a session. */
export class Entrance {
  readonly #settings: EntranceSettings;
  readonly #resumption: Resumption;
  /** Runs a join and its repeat one after the other, so that a join whose connection broke cannot undo its repeat. */
  readonly #turns = new Turns<PeerId>();

  constructor(settings: EntranceSettings) {
    this.#settings = settings;
    this.#resumption = new Resumption(settings);
  }

  /**
   * Enters a room in four round trips at most: read the room; place; admit and enter the roster together (SPEC SE3).
   * @param askedAtMs - the time on the monotonic clock at which the client began to wait
   * @throws PlenaryError `protocol_version`, `store_unavailable`, `token_*`, `access_revoked`, `tenant_limit_reached`, `room_full`,
   *   `joined_too_often`, `no_media_node`, `timed_out`, …
   */
  async join(
    request: ClientRequest<'join'>,
    socket: ClientSocket,
    askedAtMs: number,
    { place, entrant, charge }: Entering,
  ): Promise<Entered<'join'>> {
    const { authenticator } = this.#settings;
    const deadlineMs = askedAtMs + ENTRY_DEADLINE_MS;
    checkVersion(request.protocolVersion);
    const admission = await authenticator.join(request, socket.id);
    const { tenantId } = admission;
    try {
      charge({ roomId: roomIdOf(tenantId, admission.grants.room), tenantId });
      const entered = await this.#join(request, socket, admission, { deadlineMs, entrant, place });
      this.#settings.onOutcome(tenantId, 'ok');
      return entered;
    } catch (fault) {
      this.#settings.onOutcome(tenantId, toPlenaryError(fault).code);
      throw fault;
    }
  }

  async #join(
    request: ClientRequest<'join'>,
    socket: ClientSocket,
    admission: AdmittedPerson,
    turn: Turn,
  ): Promise<Entered<'join'>> {
    const { place, deadlineMs } = turn;
    const { peerIdKey, clock } = this.#settings;
    const { grants: granted, tenantId } = admission;
    const { roundTrips = [] } = request;
    const grants: SessionGrants = { ...granted, tenant: tenantId, roundTrips };
    this.#checkStore();
    const { requestId, sessionKey } = request;
    const roomId = roomIdOf(tenantId, grants.room);
    const peerId = derivePeerId(peerIdKey, { subject: grants.sub, roomId, requestId, sessionKey });
    const { promise: itsTurn, resolve: begin } = Promise.withResolvers<void>();
    const hasPlace = this.#turns.isBusy(peerId) ? place.whileWaiting(async () => itsTurn) : undefined;
    return this.#turns.run(peerId, async (afterwards) => {
      begin();
      await hasPlace;
      if (clock.monotonicMs() > deadlineMs) throw new PlenaryError('timed_out');
      return this.#enter(request, socket, {
        roomId,
        peerId,
        admission,
        grants,
        turn,
        afterwards,
      });
    });
  }

  async #enter(
    request: ClientRequest<'join'>,
    socket: ClientSocket,
    entry: {
      readonly roomId: RoomId;
      readonly peerId: PeerId;
      readonly admission: AdmittedPerson;
      readonly grants: SessionGrants;
      readonly turn: Turn;
      readonly afterwards: (work: Promise<void>) => void;
    },
  ): Promise<Entered<'join'>> {
    const { roomLog, channel, placer, localRooms } = this.#settings;
    const { requestId, sessionKey, roundTrips = [] } = request;
    const { roomId, peerId, admission, grants, turn } = entry;
    const { tenantId, issuedAtSeconds } = admission;
    const subject = grants.sub;
    const displayName = grants.name ?? request.displayName ?? 'Guest';

    // Subscribes to the room before reading its state: an event in between then arrives twice, but is never lost.
    socket.enterRoom(roomId);
    this.#settings.onEntering(roomId);
    const endKeeping = this.#settings.mediaWatch.keepFor(peerId);
    let latest: Placement | undefined;
    let hasNewClaim = false;
    try {
      const [claim, read, revoked] = await turn.place.whileSlow(async () => {
        const answers = await Promise.allSettled([
          this.#settings.tenantClaims.claim(tenantId, { roomId, peerId }),
          this.#settings.reader.view(roomId),
          this.#settings.tenants.isRevoked(tenantId, { roomId, subject, issuedAtSeconds }),
        ]);
        // Noted at once: the join may get no further turn.
        hasNewClaim = answers[0].status === 'fulfilled' && answers[0].value;
        return answers;
      });
      if (revoked.status === 'rejected') throw revoked.reason;
      if (revoked.value) throw new PlenaryError('access_revoked');
      if (claim.status === 'rejected') throw claim.reason;
      if (read.status === 'rejected') throw read.reason;
      const view: RoomView = read.value;
      // The store lost the room if it is empty there but has sessions here: they are republished before the peer enters.
      if (view.occupancy.peerCount === 0 && localRooms.sessionsIn(roomId).length > 0)
        await turn.place.whileSlow(async () => this.#settings.republisher.room(roomId));
      let joined: Joined | undefined;
      const hosted = await placer.host({
        roomId,
        peerId,
        requestId,
        subject: digestOfSubject(subject),
        ...digestOfPerson(grants),
        ...networkOf(socket),
        media: permittedMedia(request.media, grants),
        view,
        datacenter: grants.datacenter,
        roundTrips,
        ...turn,
        onPlaced: (placement) => {
          latest = placement;
        },
        beside: async (placement) => {
          const entry = { peerId, displayName, role: grants.role };
          joined = await roomLog.joinPeer(roomId, entry, placement.epoch).catch(notFoundAs('stale_epoch'));
          channel.publishEvents(roomId, joined.events);
        },
      });
      if (joined === undefined) throw new PlenaryError('internal', 'A join ended without a roster entry.');
      const proof = { key: sessionKey, generation: joined.tokenGeneration + 1 };
      const self = { roomId, peerId, displayName: joined.self.displayName };
      const { joinedAtMs, role } = joined.self;
      const { sequence } = joined;
      const record = { requestId: hosted.placement.requestId, sequence, joinedAtMs, role };
      const { edgeId, holdEpoch } = await this.#claim(roomId, hosted.placement, joined.events.length === 0);
      latest = { ...hosted.placement, edgeId, holdEpoch };
      const session = new Session(self, grants, proof, record, {
        mediaNodeId: hosted.placement.mediaNodeId,
        epoch: hosted.placement.epoch,
        incarnation: hosted.incarnation,
        holdEpoch,
      });
      if (joined.events.length === 0) carryBudget(session, hosted.placement.holdEpoch, this.#settings);
      const [note, rejoinToken] = await Promise.all([
        sessionNote(session, this.#settings),
        // A guest has to request another guest token, because guests may be excluded by then.
        grants.guest === true ? undefined : this.#settings.signRejoinToken({ ...admission, key: sessionKey }),
      ]);
      session.consumers.openedWith(hosted.offer);
      this.#settings.keeper.take(session, socket, joined.snapshot.peerCount);
      localRooms.tracksOf(roomId).learn(view.tracks);
      const own = rejoinToken === undefined ? note : { ...note, rejoinToken };
      return { session, reply: { session: own, room: joined.snapshot, media: hosted.offer } };
    } catch (fault) {
      entry.afterwards(this.#undo(socket, { roomId, peerId, tenantId, hasNewClaim }, latest));
      throw fault;
    } finally {
      endKeeping();
    }
  }

  /**
   * Resumes a session on this edge; its transports stay as they are.
   * @throws PlenaryError `protocol_version`, `store_unavailable`, `token_*`, `proof_invalid`, `session_gone`, `access_revoked`
   */
  async resume(
    request: ClientRequest<'resume'>,
    socket: ClientSocket,
    entering: Pick<Entering, 'place' | 'charge'>,
  ): Promise<Entered<'resume'>> {
    return this.#resumption.resume(request, socket, entering);
  }

  /**
   * Confirms that the client has this token, so that earlier ones are refused from now on (SPEC SK2).
   * @returns whether the token had not been confirmed before
   * @throws PlenaryError `token_invalid` if the token belongs to another session; `token_expired`, `store_unavailable`
   */
  async confirm(session: Session, sessionToken: string): Promise<boolean> {
    if (session.confirmedToken === sessionToken) return false;
    const { authenticator, placements } = this.#settings;
    const { peer, tenant, room, generation } = await authenticator.session(sessionToken);
    const roomId = roomIdOf(tenant, room);
    if (peer !== session.peerId || roomId !== session.roomId) throw new PlenaryError('token_invalid');
    this.#checkStore();
    await placements.confirmToken(roomId, peer, generation);
    // Several confirmations may be under way at once: the newest token counts.
    if (generation < session.confirmedGeneration) return true;
    session.confirmedGeneration = generation;
    session.confirmedToken = sessionToken;
    return true;
  }

  /**
   * Takes the hold of the placement for this join. A repeated join may find a placement that another edge holds, or whose session
   * is about to lapse at this edge.
   */
  async #claim(
    roomId: RoomId,
    placement: Placement,
    isRepeated: boolean,
  ): Promise<Pick<Placement, 'edgeId' | 'holdEpoch'>> {
    const { placements, edgeId, keeper } = this.#settings;
    if (placement.edgeId === edgeId && !isRepeated) return placement;
    const { peerId, epoch } = placement;
    const { holdEpoch } = await placements
      .attachPeer(roomId, peerId, epoch, edgeId)
      .catch(notFoundAs('stale_epoch'));
    if (placement.edgeId !== edgeId) keeper.announce({ peerId, holdEpoch });
    return { edgeId, holdEpoch };
  }

  /** Removes the records of a failed join, unless another edge holds the peer by now. Never throws. */
  async #undo(
    socket: ClientSocket,
    join: {
      readonly roomId: RoomId;
      readonly peerId: PeerId;
      readonly tenantId: TenantId;
      readonly hasNewClaim: boolean;
    },
    placement: Placement | undefined,
  ): Promise<void> {
    const { localRooms, tenantClaims, edgeId } = this.#settings;
    const { roomId, peerId, tenantId } = join;
    if (localRooms.find(peerId)?.socket !== socket) socket.leaveRoom(roomId);
    if (localRooms.find(peerId) !== undefined) return;
    if (placement === undefined) {
      if (join.hasNewClaim) await tenantClaims.release(tenantId, join);
      return;
    }
    if (placement.edgeId !== edgeId) return;
    const placed = { roomId, peerId, epoch: placement.epoch };
    await this.#settings.departures.depart({
      placed,
      mediaNodeIds: [placement.mediaNodeId],
      reason: 'connection_lost',
      knownHoldEpoch: placement.holdEpoch,
      tenantId,
    });
  }

  #checkStore(): void {
    // Fails at once: waiting for a store that is down would only fill the queue.
    if (!this.#settings.isStoreAvailable()) throw new PlenaryError('store_unavailable');
  }
}

/** Returns the transports that a peer may have: a viewer gets none for sending, even if it requests one. */
export function permittedMedia(media: MediaRequest, grants: JoinGrants): MediaRequest {
  return { ...media, publish: media.publish && mayPublishAnything(grants) };
}
