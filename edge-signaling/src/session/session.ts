import type { Epoch, HeldPeer, PlacedPeer, SessionGrants } from '@plenary/cluster';
import type { Incarnation, MediaNodeId, PeerId, RequestId, RoomId } from '@plenary/cluster/ids';
import type { Role, SessionKeyJwk } from '@plenary/cluster/protocol';
import type { ClientSocket } from '../transport/client-socket.ts';

/** Where a session's media lives. */
export interface SessionMedia {
  readonly mediaNodeId: MediaNodeId;
  readonly epoch: Epoch;
  /** Which life of the node admitted the peer; another life does not know it. `undefined` until the link was up. */
  readonly incarnation: Incarnation | undefined;
  /** Orders who holds the session: see {@link Placement}. */
  readonly holdEpoch: Epoch;
}

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
  /** Of the newest session token; each that is given out for another occasion has a higher one (SPEC SE14). */
  tokenGeneration: number;
  /** Of the newest session token that the client is known to have. */
  confirmedGeneration = 0;
  /** Absent while the connection is broken and the client may yet resume. */
  socket: ClientSocket | undefined;
  /** By the monotonic clock: when the session token is due to be renewed. */
  renewAtMs = 0;
  readonly #record: SessionRecord;
  #media: SessionMedia;
  #mediaIsLost = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(
    peer: { readonly peerId: PeerId; readonly roomId: RoomId; readonly displayName: string },
    grants: SessionGrants,
    proof: SessionProof,
    record: SessionRecord,
    media: SessionMedia,
  ) {
    this.#record = record;
    this.peerId = peer.peerId;
    this.roomId = peer.roomId;
    this.displayName = peer.displayName;
    this.grants = grants;
    this.key = proof.key;
    this.tokenGeneration = proof.generation;
    this.#media = media;
  }

  get media(): SessionMedia {
    return this.#media;
  }

  /** Names the live placement in requests to the media node. */
  get placed(): PlacedPeer {
    return { roomId: this.roomId, peerId: this.peerId, epoch: this.#media.epoch };
  }

  /** What the store is to know of the session. */
  get held(): HeldPeer {
    const { mediaNodeId, epoch, holdEpoch } = this.#media;
    return {
      ...this.#record,
      peerId: this.peerId,
      displayName: this.displayName,
      mediaNodeId,
      epoch,
      holdEpoch,
      // The newest token may not have reached the client; the one before it did.
      tokenGeneration: Math.max(this.confirmedGeneration, this.tokenGeneration - 1),
    };
  }

  get mediaIsLost(): boolean {
    return this.#mediaIsLost;
  }

  moveTo(media: SessionMedia): void {
    this.#media = media;
    this.#mediaIsLost = false;
  }

  /** The store notes this edge as the holder of the placement anew. */
  noteHold(epoch: Epoch, holdEpoch: Epoch): void {
    if (this.#media.epoch === epoch) this.#media = { ...this.#media, holdEpoch };
  }

  /** @returns whether this is news: a loss is told once */
  noteMediaLost(): boolean {
    if (this.#mediaIsLost) return false;
    this.#mediaIsLost = true;
    return true;
  }

  /** Runs one change of the session's placement after the other. */
  async inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(change, change);
    // The next in turn waits for the end, not for success; the failure goes to who asked for the change.
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
