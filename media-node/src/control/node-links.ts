import { guardCallback, PlenaryError, forgetOldest, inBackground } from '@plenary/cluster';
import type {
  AuthorityFile,
  ControlCaller,
  ControlIdentity,
  ControlNotice,
  DatacenterId,
  Logger,
  MediaNodeId,
} from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import type { RemoteNode, RemoteNodes } from '../pipe/home-side.ts';
import type { FaultSink } from '../room/room-context.ts';
import type { NodeDirectory } from './node-directory.ts';
import { NodeLink } from './node-link.ts';
import type { ProbeRequest } from './node-link.ts';

/** A link that no pipe holds is closed after this time, in milliseconds. */
export const IDLE_LINK_MS = 30_000;

/**
 * Maximum number of mute nodes that are remembered: far more than exist, and each has authenticated itself over a
 * link.
 */
const MAX_MUTE = 1_024;

export interface NodeLinksOptions {
  readonly directory: NodeDirectory;
  readonly identity: ControlIdentity;
  /** The authorities that sign certificates of nodes with TLS; by default those that Node knows. */
  readonly caFile: AuthorityFile | undefined;
  readonly caller: ControlCaller;
  readonly onFault: FaultSink;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/** Receives other nodes' notices about pipes that this node asked for. */
export interface PipeNoticeListener {
  onPipeProducer(notice: ControlNotice<'pipe.producer'>): void;
  onPipeClosed(notice: ControlNotice<'pipe.closed'>): void;
  onPipeMoved(notice: ControlNotice<'pipe.moved'>): void;
}

/** The control links of this node to others: at most one per node, opened at the first request. */
export class NodeLinks implements RemoteNodes {
  readonly #options: NodeLinksOptions;
  /** A link that is being opened is stored as its promise; a rejected or closed one is removed. */
  readonly #links = new Map<MediaNodeId, Promise<NodeLink>>();
  /**
   * Nodes that answered nothing last time, with the unanswered request: it is sent first when such a node is needed
   * again.
   */
  readonly #mute = new Map<MediaNodeId, ProbeRequest>();
  #listener: PipeNoticeListener | undefined;
  #closed = false;

  constructor(options: NodeLinksOptions) {
    this.#options = options;
  }

  /** Sets the listener for notices of other nodes. Must be called before a link is opened. */
  listen(listener: PipeNoticeListener): void {
    this.#listener = listener;
  }

  /** @throws PlenaryError `media_unavailable` when the node is not alive or does not answer */
  find(mediaNodeId: MediaNodeId): Promise<RemoteNode> {
    if (this.#closed) return Promise.reject(new PlenaryError('shutting_down'));
    const known = this.#links.get(mediaNodeId);
    if (known !== undefined) return known;
    const opening = this.#open(mediaNodeId, () => {
      if (this.#links.get(mediaNodeId) === opening) this.#links.delete(mediaNodeId);
    });
    this.#links.set(mediaNodeId, opening);
    opening.catch(
      guardCallback('background', () => {
        // All waiting requests get the error; the entry is removed so that the next request tries again.
        if (this.#links.get(mediaNodeId) === opening) this.#links.delete(mediaNodeId);
      }),
    );
    return opening;
  }

  /**
   * Opens a link ahead of the need: a node that pulls tracks from here usually hosts publishers too, and the three
   * round trips between datacenters would be noticed. Reports its own errors; an unused link closes after {@link
   * IDLE_LINK_MS}.
   */
  open(mediaNodeId: MediaNodeId): void {
    if (this.#closed) return;
    this.find(mediaNodeId).catch(
      guardCallback('background', (error: unknown) => {
        this.#options.onFault('node_link', error);
      }),
    );
  }

  datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId> {
    return this.#options.directory.datacenterOf(mediaNodeId);
  }

  /**
   * Closes all links. A link that is being opened, perhaps to a node that is silent for seconds, is closed once it is
   * open, so that the stop continues meanwhile (SPEC LC16).
   */
  close(): void {
    this.#closed = true;
    for (const opening of this.#links.values()) inBackground(() => closeOnceOpen(opening));
  }

  async #open(mediaNodeId: MediaNodeId, forget: () => void): Promise<NodeLink> {
    const { directory, metrics, logger } = this.#options;
    const record = await directory.find(mediaNodeId);
    let counted = false;
    const link = await NodeLink.open({
      ...this.#options,
      record,
      idleMs: IDLE_LINK_MS,
      onPipeProducer: (notice) => this.#listener?.onPipeProducer(notice),
      onPipeClosed: (notice) => this.#listener?.onPipeClosed(notice),
      onPipeMoved: (notice) => this.#listener?.onPipeMoved(notice),
      unanswered: this.#mute.get(mediaNodeId),
      onMute: (question) => {
        this.#mute.set(mediaNodeId, question);
        forgetOldest(this.#mute, MAX_MUTE);
      },
      onClosed: () => {
        forget();
        if (!counted) return;
        metrics.nodeLinks.dec();
        logger.info({ mediaNodeId }, 'control link to another media node closed');
      },
    });
    if (link.closed) throw new PlenaryError('media_unavailable');
    this.#mute.delete(mediaNodeId);
    counted = true;
    metrics.nodeLinks.inc();
    logger.info({ mediaNodeId }, 'control link to another media node open');
    return link;
  }
}

async function closeOnceOpen(opening: Promise<NodeLink>): Promise<void> {
  const [link] = await Promise.allSettled([opening]);
  // A failure to open was reported to the requests that waited for the link.
  if (link.status === 'fulfilled') link.value.close();
}
