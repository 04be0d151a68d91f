import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  digestOfSubject,
  PlenaryError,
  REPUBLISH_INTERVAL_MS,
  toPlenaryError,
  Turns,
} from '@plenary/cluster';
import type {
  Clock,
  Epoch,
  ErrorCode,
  JoinGrants,
  PlacedPeer,
  Placement,
  PlacementStore,
  RejoinClaims,
  RoomLog,
  RoomView,
  SessionGrants,
  TenantStore,
} from '@plenary/cluster';
import type { EdgeId, MediaNodeId, PeerId, RoomId, TenantId } from '@plenary/cluster/ids';
import { roomIdOf, roomNameOf } from '@plenary/cluster/ids';
import type {
  ClientReply,
  ClientRequest,
  MediaRequest,
  Session as SessionNote,
} from '@plenary/cluster/protocol';
import type { AdmittedPerson, Authenticator } from './tokens/authenticate.ts';
import type { GuestRooms } from './tokens/guest-rooms.ts';
import { derivePeerId } from './tokens/peer-id.ts';
import { mayPublishAnything } from './permissions.ts';
import type { Directory } from '../directory/directory.ts';
import { edgeHints } from '../directory/edge-hints.ts';
import type { MediaLinks } from '../media/control-links.ts';
import { networkOf } from '../media/network-of.ts';
import type { HostRequest, Placer } from '../media/placer.ts';
import type { GatePlace } from './gates/entry-gate.ts';
import type { Payers, Purse } from '../limits/meter.ts';
import type { ReportFault } from '../metrics.ts';
import { checkVersion } from '../rpc/versioned.ts';
import type { Republisher } from '../recovery/republisher.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomReader } from '../room/room-reader.ts';
import type { ClientSocket, RoomChannel } from '../transport/client-socket.ts';
import { owesForComingBack } from './debt.ts';
import type { Departures } from '../recovery/departures.ts';
import type { MediaWatch } from '../media/media-watch.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { digestOfPerson } from './person.ts';
import type { StoreWait } from '../recovery/store-wait.ts';
import { Session } from './session.ts';
import type { MediaSession } from './session.ts';
import type { TenantClaims } from './tenant-claims.ts';

/** A client waits ten seconds for an answer; the edge answers before, so that both agree on the outcome. */
export const ENTRY_DEADLINE_MS = 9_000;
/** How long a resume waits for the media node to say whether it still hosts the peer. */
const ATTACH_TIMEOUT_MS = 2_000;
/** How often a room that is being rebuilt is looked at for somebody who resumes. */
const LOOK_AGAIN_MS = 250;

/** Until when a join is answered, and as whose turn it is carried out. */
type Turn = Pick<HostRequest, 'deadlineMs' | 'entrant' | 'place'>;

/** As whose turn somebody comes in, and who pays for it. */
export interface Entering extends Pick<HostRequest, 'entrant' | 'place'> {
  /** Charges the room and the tenant. @throws PlenaryError `rate_limited` */
  readonly charge: (payers: Payers) => void;
}

type Joined = Awaited<ReturnType<RoomLog['joinPeer']>>;

export interface EntranceSettings {
  readonly edgeId: EdgeId;
  /** From which ids of peers follow. */
  readonly peerIdKey: KeyObject;
  readonly resumeWithinMs: number;
  readonly guests: GuestRooms | undefined;
  readonly authenticator: Pick<Authenticator, 'join' | 'resume' | 'session'>;
  /** `undefined` when the time is over in which this person may come back. */
  readonly signRejoinToken: (claims: RejoinClaims) => Promise<string | undefined>;
  readonly tenants: Pick<TenantStore, 'isRevoked' | 'isEnded'>;
  readonly placements: Pick<PlacementStore, 'attachPeer' | 'confirmToken' | 'placementOf'>;
  readonly roomLog: Pick<RoomLog, 'joinPeer'>;
  readonly reader: RoomReader;
  readonly isStoreAvailable: () => boolean;
  readonly storeWait: Pick<StoreWait, 'untilAvailable'>;
  readonly directory: Directory;
  readonly links: MediaLinks;
  readonly placer: Placer;
  readonly keeper: SessionKeeper;
  readonly republisher: Republisher;
  readonly localRooms: LocalRooms;
  readonly mediaWatch: Pick<MediaWatch, 'keepFor'>;
  readonly departures: Departures;
  readonly tenantClaims: TenantClaims;
  readonly channel: RoomChannel;
  /** What a session may spend that another edge took up so long ago. */
  readonly purseAfter: (heldForMs: number) => Purse;
  readonly clock: Clock;
  /** Told of each room that a join is about to change: what an unanswered command leaves there has to be found. */
  readonly onEntering: (roomId: RoomId) => void;
  /** Told how a join ended whose token was believed. */
  readonly onOutcome: (tenantId: TenantId, result: 'ok' | ErrorCode) => void;
  readonly reportFault: ReportFault;
}

export interface Entered<Name extends 'join' | 'resume'> {
  readonly session: Session;
  readonly reply: ClientReply<Name>;
}

/** The two ways into a session. */
export class Entrance {
  readonly #settings: EntranceSettings;
  /** A join whose connection broke must neither move nor undo what its repeat does: they go one after the other. */
  readonly #turns = new Turns<PeerId>();

  constructor(settings: EntranceSettings) {
    this.#settings = settings;
  }

  /**
   * Enters a room in four round trips at most: read the room; place; admit and enter the roster together (SPEC SE3).
   * @param askedAtMs - by the monotonic clock: when the client began to wait
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

    // The room is heard before its state is read: what happens in between is then heard twice, never lost.
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
        // At once: there may be no turn any more to go on in.
        hasNewClaim = answers[0].status === 'fulfilled' && answers[0].value;
        return answers;
      });
      if (revoked.status === 'rejected') throw revoked.reason;
      if (revoked.value) throw new PlenaryError('access_revoked');
      if (claim.status === 'rejected') throw claim.reason;
      if (read.status === 'rejected') throw read.reason;
      const view: RoomView = read.value;
      // Who sits here knows better than a store that forgot: nobody enters an empty room beside them.
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
      if (joined.events.length === 0) this.#carryPurse(session, hosted.placement.holdEpoch);
      const [note, rejoinToken] = await Promise.all([
        this.#note(session),
        // A guest asks for another guest token: guests may have been shut out by then.
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
   * Takes a session up on this edge; media is not touched.
   * @throws PlenaryError `protocol_version`, `store_unavailable`, `token_*`, `proof_invalid`, `session_gone`, `access_revoked`
   */
  async resume(
    request: ClientRequest<'resume'>,
    socket: ClientSocket,
    { place, charge }: Pick<Entering, 'place' | 'charge'>,
  ): Promise<Entered<'resume'>> {
    const { authenticator, tenants, placements, reader, edgeId, keeper, localRooms, links, storeWait } =
      this.#settings;
    checkVersion(request.protocolVersion);
    const claims = await authenticator.resume(request, socket.id);
    const { peer: peerId, cnf, generation, ...grants } = claims;
    if (owesForComingBack(localRooms.find(peerId), cnf.jwk))
      throw new PlenaryError('rate_limited', 'You came back too often.');
    const roomId = roomIdOf(grants.tenant, grants.room);
    charge({ roomId, tenantId: grants.tenant });
    if (!this.#settings.isStoreAvailable()) await place.whileWaiting(async () => storeWait.untilAvailable());
    socket.enterRoom(roomId);
    const endKeeping = this.#settings.mediaWatch.keepFor(peerId);
    try {
      const placement = await this.#findPlacement(roomId, peerId, place);
      if (placement === undefined) throw new PlenaryError('session_gone');
      const placed = { roomId, peerId, epoch: placement.epoch };
      // First, since it decides whether this resumes at all; a token that is refused is to change nothing.
      const { self, sequence, holdEpoch, previous, peerCount } = await place.whileSlow(async () =>
        placements
          .attachPeer(roomId, peerId, placement.epoch, edgeId, generation)
          .catch(notFoundAs('session_gone')),
      );
      const attaching = Promise.all([
        this.#attachMedia(placement.mediaNodeId, placed),
        previous !== undefined &&
          this.#attachMedia(previous.mediaNodeId, { roomId, peerId, epoch: previous.epoch }),
      ]);
      const begun = { roomId, subject: grants.sub, joinedAtMs: self.joinedAtMs };
      const [catchUp, isEnded] = await place.whileSlow(async () =>
        Promise.all([
          reader.catchUp(roomId, request.lastEventId),
          // This edge may have been down, or not there, when it was said.
          tenants.isEnded(grants.tenant, begun),
        ]),
      );
      const [isAlive, isPreviousAlive] = await place.whileWaiting(async () => attaching);
      const proof = { key: cnf.jwk, generation: generation + 1 };
      const incarnationOf = (id: MediaNodeId): MediaSession['incarnation'] => links.get(id)?.incarnation;
      const { mediaNodeId, epoch, requestId } = placement;
      const { displayName, joinedAtMs, role } = self;
      const record = { requestId, sequence, joinedAtMs, role };
      const media = { mediaNodeId, epoch, incarnation: incarnationOf(mediaNodeId), holdEpoch };
      const session = new Session({ roomId, peerId, displayName }, grants, proof, record, media);
      if (previous !== undefined && isPreviousAlive) {
        session.moveTo(media, { ...previous, incarnation: incarnationOf(previous.mediaNodeId) });
      }
      // What the client is told in this answer need not be told to it again.
      if (!isAlive) session.noteMediaLost(epoch);
      // A client whose move was cut short is asked for what it has, which may be the previous.
      const had = request.epoch ?? epoch;
      const mediaAlive = had === epoch ? isAlive : had === previous?.epoch && isPreviousAlive === true;
      this.#carryPurse(session, placement.holdEpoch);
      const note = await this.#note(session);
      keeper.take(session, socket, peerCount);
      if (placement.edgeId !== edgeId) keeper.announce({ peerId, holdEpoch });
      if (isEnded) {
        // Taken up first, so that its media and its records go as those of any session that is ended.
        await keeper.remove(session);
        throw new PlenaryError('access_revoked');
      }
      return { session, reply: { session: note, catchUp, mediaAlive } };
    } catch (fault) {
      if (localRooms.find(peerId)?.socket !== socket) socket.leaveRoom(roomId);
      throw fault;
    } finally {
      endKeeping();
    }
  }

  /**
   * The client has this token, so that those before it are not taken any more (SPEC SK2).
   * @returns whether that was news
   * @throws PlenaryError `token_invalid` when it is not of this session; `token_expired`, `store_unavailable`
   */
  async confirm(session: Session, sessionToken: string): Promise<boolean> {
    if (session.confirmedToken === sessionToken) return false;
    const { authenticator, placements } = this.#settings;
    const { peer, tenant, room, generation } = await authenticator.session(sessionToken);
    const roomId = roomIdOf(tenant, room);
    if (peer !== session.peerId || roomId !== session.roomId) throw new PlenaryError('token_invalid');
    this.#checkStore();
    await placements.confirmToken(roomId, peer, generation);
    // Of several that are under way at once the newest counts.
    if (generation < session.confirmedGeneration) return true;
    session.confirmedGeneration = generation;
    session.confirmedToken = sessionToken;
    return true;
  }

  /** Where a peer lives. A room that is gone may have been forgotten: whoever holds the session publishes it again soon. */
  async #findPlacement(roomId: RoomId, peerId: PeerId, place: GatePlace): Promise<Placement | undefined> {
    const { placements, reader, republisher, localRooms, clock } = this.#settings;
    const untilMs = clock.monotonicMs() + 2 * REPUBLISH_INTERVAL_MS;
    const look = async (): Promise<Placement | undefined> =>
      place.whileSlow(async () => placements.placementOf(roomId, peerId));
    let placement = await look();
    if (placement === undefined && localRooms.find(peerId) !== undefined) {
      await place.whileSlow(async () => republisher.room(roomId));
      placement = await look();
    }
    while (placement === undefined && clock.monotonicMs() < untilMs) {
      if ((await place.whileSlow(async () => reader.standing(roomId))) === 'whole') return look();
      await place.whileWaiting(async () => sleep(LOOK_AGAIN_MS));
      placement = await look();
    }
    return placement;
  }

  /**
   * A repeated join may find a placement that another edge holds, or whose session is about to lapse here: it is this join's
   * from now on.
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

  /** Whether the media node still hosts the peer; from now on it tells this edge of it. */
  async #attachMedia(mediaNodeId: MediaNodeId, placed: PlacedPeer): Promise<boolean> {
    const { links, reportFault } = this.#settings;
    try {
      const link = await links.reach(mediaNodeId, ATTACH_TIMEOUT_MS);
      const { alive } = await link.call('peer.attach', placed, ATTACH_TIMEOUT_MS);
      return alive;
    } catch (fault) {
      reportFault('control_link', fault, { doing: 'peer.attach' });
      return false;
    }
  }

  /** Takes back what a failed join did. What another edge holds by now stays. Never throws. */
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
      heldUnder: placement.holdEpoch,
      tenantId,
    });
  }

  /**
   * A session that goes on has what it had left: here, if it was here, else what its purse may have got since it was taken up
   * elsewhere (SPEC BU36). Epochs of holds are the store's clock, in microseconds.
   */
  #carryPurse(session: Session, heldSince: Epoch): void {
    const { localRooms, purseAfter } = this.#settings;
    const heldForMs = (session.media.holdEpoch - heldSince) / 1_000;
    session.purse = localRooms.find(session.peerId)?.purse ?? purseAfter(heldForMs);
    session.purseOwedSince = heldSince;
  }

  async #note(session: Session): Promise<SessionNote> {
    const { edgeId, resumeWithinMs, keeper, directory, guests } = this.#settings;
    const roomName = roomNameOf(session.roomId);
    return {
      peerId: session.peerId,
      roomId: roomName,
      displayName: session.displayName,
      role: session.grants.role,
      sessionToken: await keeper.tokenOf(session),
      resumeWithinMs,
      edgeId,
      edges: edgeHints(directory),
      // In a room of another tenant a guest would sit in the guests' room of that name, alone.
      openToGuests:
        guests !== undefined && guests.tenantId === session.grants.tenant && guests.isOpen(roomName),
    };
  }

  #checkStore(): void {
    // Said at once: to wait for a store that is known to be away would only fill the queue.
    if (!this.#settings.isStoreAvailable()) throw new PlenaryError('store_unavailable');
  }
}

/** A viewer gets no transport for sending, whatever it asks for. */
export function permittedMedia(media: MediaRequest, grants: JoinGrants): MediaRequest {
  return { ...media, publish: media.publish && mayPublishAnything(grants) };
}

/**
 * What a peer that was removed meanwhile means to who entered: a resume has to join instead (`session_gone`), a repeated join
 * finds nothing the next time and places anew (`stale_epoch`, which is retryable).
 */
function notFoundAs(code: 'session_gone' | 'stale_epoch'): (fault: unknown) => never {
  return (fault) => {
    const isGone = fault instanceof PlenaryError && fault.code === 'peer_not_found';
    throw isGone ? new PlenaryError(code, undefined, { cause: fault }) : fault;
  };
}
