import { PlenaryError } from '@plenary/cluster';
import type { Clock, Epoch, PlacedPeer } from '@plenary/cluster';

/** How long the epoch of a peer that left is remembered, in milliseconds: longer than any request may be late. */
export const REMEMBER_MS = 600_000;
/** Maximum number of remembered peers. */
export const MAX_REMEMBERED = 50_000;

interface Remembered {
  readonly epoch: Epoch;
  /** Everything up to this epoch was dropped by an edge and must not come back. */
  readonly droppedEpoch: number;
  readonly atMs: number;
}

/**
 * Remembers the highest epoch seen of each peer, and refuses commands under an older one: of a hosted peer always,
 * of a peer that left for {@link REMEMBER_MS} (SPEC EP2, EP9). Entries are kept in the order of their last use, so that the oldest are found without a search.
 */
export class EpochFence {
  readonly #clock: Clock;
  readonly #isHosted: (peer: PlacedPeer) => boolean;
  readonly #remembered = new Map<string, Remembered & { readonly peer: PlacedPeer }>();

  /** @param isHosted - whether this node hosts the peer now: such an epoch is never forgotten */
  constructor(clock: Clock, isHosted: (peer: PlacedPeer) => boolean) {
    this.#clock = clock;
    this.#isHosted = isHosted;
  }

  get size(): number {
    return this.#remembered.size;
  }

  /** Notes an epoch. @throws PlenaryError `stale_epoch` when a newer one was seen */
  see(peer: PlacedPeer): void {
    const known = this.#remembered.get(keyOf(peer));
    if (known !== undefined && peer.epoch < known.epoch) throw new PlenaryError('stale_epoch');
    this.#remember(peer, known?.droppedEpoch ?? 0);
  }

  /**
   * Notes the epoch of a placement to be hosted, as {@link see} does. @throws PlenaryError `stale_epoch`, also when
   * this epoch was dropped
   */
  admit(peer: PlacedPeer): void {
    const known = this.#remembered.get(keyOf(peer));
    if (known !== undefined && peer.epoch <= known.droppedEpoch) {
      throw new PlenaryError('stale_epoch', 'This placement was dropped.');
    }
    this.see(peer);
  }

  /** Notes that every epoch up to this one is dropped. A newer epoch that was seen stays valid. */
  drop(peer: PlacedPeer): void {
    const known = this.#remembered.get(keyOf(peer));
    const droppedEpoch = Math.max(peer.epoch, known?.droppedEpoch ?? 0);
    const newest = known !== undefined && known.epoch > peer.epoch ? known.peer : peer;
    this.#remember(newest, droppedEpoch);
  }

  #remember(peer: PlacedPeer, droppedEpoch: number): void {
    const key = keyOf(peer);
    this.#remembered.delete(key);
    const { roomId, peerId, epoch } = peer;
    this.#remembered.set(key, {
      peer: { roomId, peerId, epoch },
      epoch,
      droppedEpoch,
      atMs: this.#clock.monotonicMs(),
    });
    this.#forgetOld();
  }

  #forgetOld(): void {
    const oldestMs = this.#clock.monotonicMs() - REMEMBER_MS;
    // At most a few per call: each call adds one entry, so the map cannot outgrow this.
    let examined = 0;
    for (const [key, entry] of this.#remembered) {
      if (entry.atMs >= oldestMs && this.#remembered.size <= MAX_REMEMBERED) return;
      if (examined >= 4) return;
      examined += 1;
      this.#remembered.delete(key);
      if (this.#isHosted(entry.peer))
        this.#remembered.set(key, { ...entry, atMs: this.#clock.monotonicMs() });
    }
  }
}

const keyOf = (peer: PlacedPeer): string => `${peer.roomId}/${peer.peerId}`;
