import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { PlacedPeer } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { ReportFault } from '../metrics.ts';
import { RetryQueue } from '../recovery/retry-queue.ts';
import type { MediaLinks } from './control-links.ts';

/** Drops that wait at most, over all nodes. A node automatically drops peers that no edge claims. */
const MAX_PENDING_DROPS = 10_000;

/** The end of a peer's placement at a node. */
interface Drop {
  readonly mediaNodeId: MediaNodeId;
  readonly placed: PlacedPeer;
}

export interface PeerDropsSettings {
  readonly links: Pick<MediaLinks, 'get'>;
  readonly reportFault: ReportFault;
}

/** Frees the transports of peers at media nodes. If a node does not answer, frees them once its link is up again (SPEC SE34). */
export class PeerDrops {
  readonly #settings: PeerDropsSettings;
  readonly #waiting: RetryQueue<Drop>;

  constructor(settings: PeerDropsSettings) {
    this.#settings = settings;
    this.#waiting = new RetryQueue({
      maxWaiting: MAX_PENDING_DROPS,
      retry: (drop) => this.#attempt(drop),
      onDiscarded: ({ placed }) =>
        settings.reportFault('departure', new Error('Too many drops wait.'), { ...placed }),
    });
  }

  /** Frees the transports that a peer has at the node up to the epoch. Never throws. */
  async drop(mediaNodeId: MediaNodeId, placed: PlacedPeer): Promise<void> {
    const drop = { mediaNodeId, placed };
    if (await this.#attempt(drop)) return;
    const { roomId, peerId, epoch } = placed;
    this.#waiting.add(`${mediaNodeId} ${roomId} ${peerId} ${epoch}`, drop);
  }

  /** To be called when the link to a node is up. Never rejects. */
  async retry(mediaNodeId: MediaNodeId): Promise<void> {
    await this.#waiting.retryNow((drop) => drop.mediaNodeId === mediaNodeId);
  }

  stop(): void {
    this.#waiting.stop();
  }

  /** @returns `false` if the drop has to be tried again */
  async #attempt({ mediaNodeId, placed }: Drop): Promise<boolean> {
    const { links, reportFault } = this.#settings;
    try {
      const link = links.get(mediaNodeId);
      // A node without a link may still run: this edge may not know it yet, or its announcement lapsed.
      if (link === undefined) throw new PlenaryError('media_unavailable');
      await link.call('peer.drop', placed);
      return true;
    } catch (fault) {
      const { retryable } = toPlenaryError(fault);
      if (!retryable) reportFault('departure', fault, { doing: 'peer.drop' });
      return !retryable;
    }
  }
}
