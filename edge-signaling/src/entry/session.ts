import { Turns } from '@plenary/cluster';
import type { Epoch, HeldPeer, PlacedPeer, SessionGrants } from '@plenary/cluster';
import type { Incarnation, MediaNodeId, PeerId, RequestId, RoomId } from '@plenary/cluster/ids';
import type { Role, SessionKeyJwk } from '@plenary/cluster/protocol';
import type { Purse } from '../limits/meter.ts';
import { OpenConsumers } from '../media/open-consumers.ts';
import type { ClientSocket } from '../transport/client-socket.ts';

/** Where media of a session lives. */
export interface MediaSession {
  readonly mediaNodeId: MediaNodeId;
  readonly epoch: Epoch;
  /** Which life of the node admitted the peer; another life does not know it. `undefined` until the link was up. */
  readonly incarnation: Incarnation | undefined;
}

/** Where the newest media of a session lives. */
export interface LiveMedia extends MediaSession {
  /** Orders who holds the session: see {@link Placement}. */
  readonly holdEpoch: Epoch;
}

/** Media nodes that a session is taken off because its client finds no path to them: then it is the client's own network. */
const MAX_UNREACHED_NODES = 2;

/** What the store is told of a session, beside its placement, should it forget it (SPEC RC1). */
export interface SessionRecord {
  readonly requestId: RequestId;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly joinedAtMs: number;
  readonly role: Role;
}

/** Which key a session is bound to, and which of its tokens is the newest. */
export interface SessionProof {
  readonly key: SessionKeyJwk;
  /** Of the newest token that was given out. */
  readonly generation: number;
}

/**
 * One person's presence as this edge serves it. No truth: the store knows where the peer lives, the session token what
 * it may do, the media node what it sends; an edge that dies loses nothing that another cannot read again.
 */
export class Session {
  readonly peerId: PeerId;
  readonly roomId: RoomId;
  readonly displayName: string;
  readonly grants: SessionGrants;
  readonly key: SessionKeyJwk;
  /** Of the newest session token; each that is given out for another occasion has a higher one (SPEC SK2). */
  tokenGeneration: number;
  /** Of the newest session token that the client is known to have. */
  confirmedGeneration = 0;
  /** The token by which it was confirmed: whoever says it again says nothing new. */
  confirmedToken: string | undefined;
  /** Absent while the connection is broken and the client may yet resume. */
  socket: ClientSocket | undefined;
  /** What it may spend; set when its first connection has it. */
  purse: Purse | undefined;
  /** As whom its person is remembered when it ends. */
  remembered = '';
  /** By the monotonic clock: when the session token is due to be renewed. */
  renewAtMs = 0;
  readonly consumers = new OpenConsumers();
  /** The hold by which this edge took the session up from its client. What was said of earlier ones is over. */
  readonly takenUpUnder: Epoch;
  /** The hold that another edge had: what was left there, it has yet to tell. */
  purseOwedSince: Epoch | undefined;
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

  /** Where the newest media lives. */
  get media(): LiveMedia {
    return this.#media;
  }

  /** Where media goes on until the client has moved. */
  get previous(): MediaSession | undefined {
    return this.#previous;
  }

  /** Every media that lives, the newest first. */
  get allMedia(): readonly MediaSession[] {
    return this.#previous === undefined ? [this.#media] : [this.#media, this.#previous];
  }

  /** Names every placement that was made of this peer so far. */
  get placed(): PlacedPeer {
    return { roomId: this.roomId, peerId: this.peerId, epoch: this.#highestEpoch };
  }

  /** The media of an epoch; the newest where none is named. */
  mediaSessionOf(epoch: Epoch | undefined): MediaSession | undefined {
    return epoch === undefined ? this.#media : this.allMedia.find((media) => media.epoch === epoch);
  }

  /** Counts a track that is published under a placement. @returns the how many-th it is; of an earlier placement it counts for the newest */
  countPublication({ epoch }: Pick<MediaSession, 'epoch'>): number {
    if (this.#published === undefined || epoch > this.#published.epoch) this.#published = { epoch, count: 0 };
    this.#published.count += 1;
    return this.#published.count;
  }

  /** By the store's clock. */
  get joinedAtMs(): number {
    return this.#record.joinedAtMs;
  }

  /** Names the placement of one media in requests to its node. */
  placedAt({ epoch }: Pick<MediaSession, 'epoch'>): PlacedPeer {
    return { roomId: this.roomId, peerId: this.peerId, epoch };
  }

  /** What the store is to know of the session. */
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

  /** The newest hold of the session that this edge took: who took it up later keeps it. A placement is a hold, too. */
  get knownHoldEpoch(): Epoch {
    const { holdEpoch } = this.#media;
    return holdEpoch > this.#highestEpoch ? holdEpoch : this.#highestEpoch;
  }

  /** The media that the client is to leave, once another placement was made beside it. */
  get toLeave(): Epoch | undefined {
    if (this.#previous !== undefined) return this.#previous.epoch;
    // No node admitted the peer under the newer placement, or nobody knows whether there is one.
    const isPlaced = this.#highestEpoch > this.#media.epoch || this.#unsureMove === this.#media.epoch;
    return isPlaced && !this.#mediaIsLost ? this.#media.epoch : undefined;
  }

  /** Media nodes that the client found no path to: another one is better. */
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

  /** A request goes to a media node. @returns its number among those of this session */
  beginMediaRequest(): number {
    this.#mediaRequests += 1;
    return this.#mediaRequests;
  }

  /** A media node answered. */
  noteMediaAnswer(request: number): void {
    this.#answeredMediaRequest = Math.max(this.#answeredMediaRequest, request);
  }

  /** Whether a media node answered a request that was made after this one. */
  isOvertaken(request: number): boolean {
    return this.#answeredMediaRequest > request;
  }

  /** A placement was made, whether or not a node admits the peer under it. */
  notePlaced(epoch: Epoch): void {
    if (epoch > this.#highestEpoch) this.#highestEpoch = epoch;
  }

  /** Another placement beside media may have been made: the store did not answer. */
  noteUnsureMove(epoch: Epoch): void {
    this.#unsureMove = epoch;
  }

  /** @param previous - what goes on beside it until the client has moved */
  moveTo(media: LiveMedia, previous?: MediaSession): void {
    this.#media = media;
    this.#previous = previous;
    this.#mediaIsLost = false;
    this.notePlaced(media.epoch);
    this.#keepConsumers();
  }

  /** The client needs its previous media no more. */
  completeMove(): void {
    this.#previous = undefined;
    this.#keepConsumers();
  }

  /** The store knows that the client has moved to this media. */
  noteMoveStored(epoch: Epoch): void {
    this.#moveStoredForEpoch = epoch;
  }

  /** Whether the client has nothing but its newest media, and the store knows that. */
  get hasCompletedMove(): boolean {
    return this.#previous === undefined && this.#moveStoredForEpoch === this.#media.epoch;
  }

  #keepConsumers(): void {
    this.consumers.keepOnly(this.allMedia.map(({ epoch }) => epoch));
  }

  /** The store notes this edge as the holder of the placement anew. */
  noteHold(epoch: Epoch, holdEpoch: Epoch): void {
    if (this.#media.epoch === epoch) this.#media = { ...this.#media, holdEpoch };
  }

  /** @returns whether this is news: a loss is told once */
  noteMediaLost(epoch: Epoch): boolean {
    if (this.#previous?.epoch === epoch) {
      this.#previous = undefined;
      return true;
    }
    if (this.#mediaIsLost || this.#media.epoch !== epoch) return false;
    this.#mediaIsLost = true;
    return true;
  }

  /** Runs one change of the session's placement after the other. */
  async inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    return this.#turns.run('placement', change);
  }
}
