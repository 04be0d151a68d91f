import type { PeerId } from '@plenary/cluster/protocol';

/** Whom this person is and was in the room, unless another tab is them now. */
export class OwnPeers {
  readonly #possiblyOwn: Set<PeerId>;
  #own: ReadonlySet<PeerId>;

  constructor(previousPeerIds: Iterable<PeerId> = []) {
    this.#possiblyOwn = new Set(previousPeerIds);
    this.#own = new Set(this.#possiblyOwn);
  }

  /** The same set as long as nothing changes. */
  get ids(): ReadonlySet<PeerId> {
    return this.#own;
  }

  /** This person is in the room under this id. */
  add(peerId: PeerId): void {
    this.#possiblyOwn.add(peerId);
    if (!this.#own.has(peerId)) this.#own = new Set([...this.#own, peerId]);
  }

  /**
   * These are somebody else. Each call replaces what the one before said.
   * @param self - who one is now, whatever is said of others
   */
  exclude(others: ReadonlySet<string>, self: PeerId | undefined): void {
    const own = [...this.#possiblyOwn].filter((peerId) => peerId === self || !others.has(peerId));
    const isSame = own.length === this.#own.size && own.every((peerId) => this.#own.has(peerId));
    if (!isSame) this.#own = new Set(own);
  }
}
