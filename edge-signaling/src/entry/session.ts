import { Turns } from '@plenary/cluster';
import type { Epoch, HeldPeer, PlacedPeer, SessionGrants } from '@plenary/cluster';
import type { Incarnation, MediaNodeId, PeerId, RequestId, RoomId } from '@plenary/cluster/ids';
import type { Role, SessionKeyJwk } from '@plenary/cluster/protocol';
import type { SessionBudget } from '../limits/meter.ts';
import { OpenConsumers } from '../media/open-consumers.ts';
import type { ClientSocket } from '../transport/client-socket.ts';

/** A peer's transports on one media node under one epoch. */
export interface MediaSession {
  readonly mediaNodeId: MediaNodeId;
  readonly epoch: Epoch;
  /** The incarnation of the node that admitted the peer; another one does not know it. `undefined` until the link was up. */
  readonly incarnation: Incarnation | undefined;
}

/** The newest media session of a peer. */
export interface LiveMedia extends MediaSession {
  /** The epoch of this edge's hold: the newest hold wins; see {@link Placement}. */
  readonly holdEpoch: Epoch;
}

/** How many media nodes a client may find no path to before no further move is tried: then the client's own network is at fault. */
const MAX_UNREACHED_NODES = 2;

/** The data by which the store restores a session that it lost, beside its placement (SPEC RC1). */
export interface SessionRecord {
  readonly requestId: RequestId;
  /** The peer's place in the roster. */
  readonly sequence: number;
  readonly joinedAtMs: number;
  readonly role: Role;
}

/** The key that a session is bound to, and the generation of its newest token. */
export interface SessionProof {
  readonly key: SessionKeyJwk;
  /** The generation of the newest token that was issued. */
  readonly generation: number;
}

/**
 * A peer's stay in the meeting, as this edge serves it. An edge that dies loses no state: the store has the placement, the session
 * token the rights, and the media node the tracks, so that another edge can read them again.
 */
export class Session {
  readonly peerId: PeerId;
  readonly roomId: RoomId;
  readonly displayName: string;
  readonly grants: SessionGrants;
  readonly key: SessionKeyJwk;
  /** The generation of the newest session token; each new token has a higher one (SPEC SK2). */
  tokenGeneration: number;
  /** The generation of the newest session token that the client is known to have. */
  confirmedGeneration = 0;
  /** The token that was confirmed last; confirming it again changes nothing. */
  confirmedToken: string | undefined;
  /** Absent while the connection is broken and the client may still resume. */
  socket: ClientSocket | undefined;
  /** The budget of its requests; set when its first connection has entered. */
  budget: SessionBudget | undefined;
  /** The key under which the remaining budget of its person is kept after it ends. */
  remembered = '';
  /** The time on the monotonic clock at which the session token is due to be renewed. */
  renewAtMs = 0;
  readonly consumers = new OpenConsumers();
  /** The hold under which the client entered this edge. Messages about earlier holds are outdated. */
  readonly takenUpUnder: Epoch;
  /** The hold of the previous edge, which has not announced yet how much budget was left there. */
  budgetReportDueSince: Epoch | undefined;
  readonly #record: SessionRecord;
  #media: LiveMedia;
  #previous: MediaSession | undefined;
  #highestEpoch: Epoch;
  #mediaIsLost = false;
  #moveStoredForEpoch: Epoch | undefined;
  #unsureMove: Epoch | undefined;
  #unreachedNodes: readonly MediaNodeId[] = [];
  #mediaRequests = 0;
  #answeredMediaRequest = 0;
  /** Tracks published under the newest placement that had any. */
  #published: { readonly epoch: Epoch; count: number } | undefined;
  readonly #turns = new Turns<'placement'>();

  constructor(
    peer: { readonly peerId: PeerId; readonly roomId: RoomId; readonly displayName: string },
    grants: SessionGrants,
    proof: SessionProof,
    record: SessionRecord,
    media: LiveMedia,
  ) {
    this.#record = record;
    this.peerId = peer.peerId;
    this.roomId = peer.roomId;
    this.displayName = peer.displayName;
    this.grants = grants;
    this.key = proof.key;
    this.tokenGeneration = proof.generation;
    this.#media = media;
    this.#highestEpoch = media.epoch;
    this.takenUpUnder = media.holdEpoch;
  }

  /** The newest media session. */
  get media(): LiveMedia {
    return this.#media;
  }

  /** The media session that continues until the client has moved. */
  get previous(): MediaSession | undefined {
    return this.#previous;
  }

  /** All live media sessions, the newest first. */
  get allMedia(): readonly MediaSession[] {
    return this.#previous === undefined ? [this.#media] : [this.#media, this.#previous];
  }

  /** Identifies all placements of this peer so far. */
  get placed(): PlacedPeer {
    return { roomId: this.roomId, peerId: this.peerId, epoch: this.#highestEpoch };
  }

  /** The media session of an epoch; without an epoch the newest. */
  mediaSessionOf(epoch: Epoch | undefined): MediaSession | undefined {
    return epoch === undefined ? this.#media : this.allMedia.find((media) => media.epoch === epoch);
  }

  /** Counts a track published under a placement; a track of an earlier placement counts for the newest. @returns the count so far */
  countPublication({ epoch }: Pick<MediaSession, 'epoch'>): number {
    if (this.#published === undefined || epoch > this.#published.epoch) this.#published = { epoch, count: 0 };
    this.#published.count += 1;
    return this.#published.count;
  }

  /** The time of the join by the store's clock. */
  get joinedAtMs(): number {
    return this.#record.joinedAtMs;
  }

  /** Identifies the placement of one media session in requests to its node. */
  placedAt({ epoch }: Pick<MediaSession, 'epoch'>): PlacedPeer {
    return { roomId: this.roomId, peerId: this.peerId, epoch };
  }

  /** The record of the session that this edge publishes to the store. */
  get held(): HeldPeer {
    const { mediaNodeId, epoch, holdEpoch } = this.#media;
    const previous = this.#previous;
    return {
      ...this.#record,
      peerId: this.peerId,
      displayName: this.displayName,
      mediaNodeId,
      epoch,
      holdEpoch,
      previous: previous && { mediaNodeId: previous.mediaNodeId, epoch: previous.epoch },
      // The newest token may not have reached the client; the one before it did.
      tokenGeneration: Math.max(this.confirmedGeneration, this.tokenGeneration - 1),
    };
  }

  /** The newest hold of the session that this edge took; an edge with a later hold keeps it. A placement is a hold, too. */
  get knownHoldEpoch(): Epoch {
    const { holdEpoch } = this.#media;
    return holdEpoch > this.#highestEpoch ? holdEpoch : this.#highestEpoch;
  }

  /** The epoch of the media session that the client has to leave, once another placement was made beside it. */
  get toLeave(): Epoch | undefined {
    if (this.#previous !== undefined) return this.#previous.epoch;
    // No node admitted the peer under the newer placement, or the edge cannot tell whether there is one.
    const isPlaced = this.#highestEpoch > this.#media.epoch || this.#unsureMove === this.#media.epoch;
    return isPlaced && !this.#mediaIsLost ? this.#media.epoch : undefined;
  }

  /** Media nodes that the client found no path to. */
  get unreachedNodes(): readonly MediaNodeId[] {
    return this.#unreachedNodes;
  }

  /** @returns whether the client should try another node */
  noteUnreached(mediaNodeId: MediaNodeId): boolean {
    if (this.#unreachedNodes.length >= MAX_UNREACHED_NODES || this.#unreachedNodes.includes(mediaNodeId))
      return false;
    this.#unreachedNodes = [...this.#unreachedNodes, mediaNodeId];
    return true;
  }

  get mediaIsLost(): boolean {
    return this.#mediaIsLost;
  }

  /** Numbers a request to a media node. @returns its number among the requests of this session */
  beginMediaRequest(): number {
    this.#mediaRequests += 1;
    return this.#mediaRequests;
  }

  /** Notes that a media node answered the request. */
  noteMediaAnswer(request: number): void {
    this.#answeredMediaRequest = Math.max(this.#answeredMediaRequest, request);
  }

  /** Whether a media node answered a request that was made after this one. */
  isOvertaken(request: number): boolean {
    return this.#answeredMediaRequest > request;
  }

  /** Notes a placement, whether or not a node admits the peer under it. */
  notePlaced(epoch: Epoch): void {
    if (epoch > this.#highestEpoch) this.#highestEpoch = epoch;
  }

  /** Notes that another placement may have been made beside this epoch, because the store did not answer. */
  noteUnsureMove(epoch: Epoch): void {
    this.#unsureMove = epoch;
  }

  /** @param previous - the media session that continues beside the new one until the client has moved */
  moveTo(media: LiveMedia, previous?: MediaSession): void {
    this.#media = media;
    this.#previous = previous;
    this.#mediaIsLost = false;
    this.notePlaced(media.epoch);
    this.#keepConsumers();
  }

  /** Ends the move: the client has left its previous media session. */
  completeMove(): void {
    this.#previous = undefined;
    this.#keepConsumers();
  }

  /** Notes that the store knows that the client has moved to this media session. */
  noteMoveStored(epoch: Epoch): void {
    this.#moveStoredForEpoch = epoch;
  }

  /** Whether the client has only its newest media session, and the store knows that. */
  get hasCompletedMove(): boolean {
    return this.#previous === undefined && this.#moveStoredForEpoch === this.#media.epoch;
  }

  #keepConsumers(): void {
    this.consumers.keepOnly(this.allMedia.map(({ epoch }) => epoch));
  }

  /** Notes a new hold of this edge on the placement. */
  noteHold(epoch: Epoch, holdEpoch: Epoch): void {
    if (this.#media.epoch === epoch) this.#media = { ...this.#media, holdEpoch };
  }

  /** @returns whether the loss is new, so that the client is notified of it once */
  noteMediaLost(epoch: Epoch): boolean {
    if (this.#previous?.epoch === epoch) {
      this.#previous = undefined;
      return true;
    }
    if (this.#mediaIsLost || this.#media.epoch !== epoch) return false;
    this.#mediaIsLost = true;
    return true;
  }

  /** Runs changes of the session's placement one after the other. */
  async inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    return this.#turns.run('placement', change);
  }
}
