import type { PeerId } from '@plenary/cluster/protocol';

/** The peer ids that this person has and had in the room, without those that another tab uses now. */
export class OwnPeers {
  readonly #candidates: Set<PeerId>;
  #own: ReadonlySet<PeerId>;

  constructor(previousPeerIds: Iterable<PeerId> = []) {
    this.#candidates = new Set(previousPeerIds);
    this.#own = new Set(this.#candidates);
  }

  /** Returns the same object as long as nothing changes. */
  get ids(): ReadonlySet<PeerId> {
    return this.#own;
  }

  /** Adds an id under which this person is in the room. */
  add(peerId: PeerId): void {
    this.#candidates.add(peerId);
    if (!this.#own.has(peerId)) this.#own = new Set([...this.#own, peerId]);
  }

  /**
   * Excludes ids that belong to somebody else. Each call replaces the exclusions of the previous one.
   * @param self - the current id of this person, which is never excluded
   */
  exclude(others: ReadonlySet<string>, self: PeerId | undefined): void {
    const own = [...this.#candidates].filter((peerId) => peerId === self || !others.has(peerId));
    const isSame = own.length === this.#own.size && own.every((peerId) => this.#own.has(peerId));
    if (!isSame) this.#own = new Set(own);
  }
}
