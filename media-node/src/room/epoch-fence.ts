import { PlenaryError } from '@plenary/cluster';
import type { Clock, Epoch, PlacedPeer } from '@plenary/cluster';

/** How long the epoch of a peer that is gone is remembered, in milliseconds: longer than any request may be late. */
export const REMEMBER_MS = 600_000;
/** Peers that are remembered at most. */
export const MAX_REMEMBERED = 50_000;

interface Remembered {
  readonly epoch: Epoch;
  /** Everything up to this epoch was dropped by an edge and must not come back. */
  readonly droppedEpoch: number;
  readonly atMs: number;
}

/**
 * The highest epoch seen of each peer: a command that was issued under an older placement is refused, however late it
 * comes (SPEC EP2, EP9). Entries are kept in the order of their last use, so that forgetting is cheap.
 */
export class EpochFence {
  readonly #clock: Clock;
  readonly #isHosted: (peer: PlacedPeer) => boolean;
  readonly #remembered = new Map<string, Remembered & { readonly peer: PlacedPeer }>();

  /** @param isHosted - whether the peer lives here now: its epoch is never forgotten */
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

  /** As {@link see}, for a placement to be hosted. @throws PlenaryError `stale_epoch`, also when this epoch was dropped */
  admit(peer: PlacedPeer): void {
    const known = this.#remembered.get(keyOf(peer));
    if (known !== undefined && peer.epoch <= known.droppedEpoch) {
      throw new PlenaryError('stale_epoch', 'This placement was dropped.');
    }
    this.see(peer);
  }

  /** Notes that everything up to this epoch is dropped. An older epoch than the newest changes nothing for that one. */
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
