import { entry, PlenaryError, forgetOldest, inBackground } from '@plenary/cluster';
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
import type { PipeQuestion } from './node-link.ts';

/** A link that no pipe needs is closed after this time, in milliseconds. */
export const IDLE_LINK_MS = 30_000;

/** Mute nodes that are remembered: far more than there are, of whom each made itself known by a link. */
const MAX_MUTE = 1_024;

export interface NodeLinksOptions {
  readonly directory: NodeDirectory;
  readonly identity: ControlIdentity;
  /** Whose certificates are believed of nodes that speak TLS; default those that Node knows. */
  readonly caFile: AuthorityFile | undefined;
  readonly caller: ControlCaller;
  readonly onFault: FaultSink;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/** What other nodes tell of the pipes that this node has asked them for. */
export interface PipeNoticeListener {
  onPipeProducer(notice: ControlNotice<'pipe.producer'>): void;
  onPipeClosed(notice: ControlNotice<'pipe.closed'>): void;
  onPipeMoved(notice: ControlNotice<'pipe.moved'>): void;
}

/** The control links of this node to others: at most one per node, opened when first needed. */
export class NodeLinks implements RemoteNodes {
  readonly #options: NodeLinksOptions;
  /** A link being opened is stored as its promise; a rejected or closed one is removed. */
  readonly #links = new Map<MediaNodeId, Promise<NodeLink>>();
  /** Nodes that answered nothing when they were last asked, and what: each is asked that first when it is needed again. */
  readonly #mute = new Map<MediaNodeId, PipeQuestion>();
  #listener: PipeNoticeListener | undefined;
  #closed = false;

  constructor(options: NodeLinksOptions) {
    this.#options = options;
  }

  /** From now on the listener hears what other nodes tell. To be called before a link is opened. */
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
      entry('background', () => {
        // Answered to everybody who waits for it; here it is only forgotten, so that the next need tries anew.
        if (this.#links.get(mediaNodeId) === opening) this.#links.delete(mediaNodeId);
      }),
    );
    return opening;
  }

  /**
   * Opens a link ahead of the need: who pulls tracks from here hosts people who publish as a rule, and three round trips
   * between datacenters are to be seen. Reports its own errors; a link that nobody needs closes by itself.
   */
  open(mediaNodeId: MediaNodeId): void {
    if (this.#closed) return;
    this.find(mediaNodeId).catch(
      entry('background', (error: unknown) => {
        this.#options.onFault('node_link', error);
      }),
    );
  }

  datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId> {
    return this.#options.directory.datacenterOf(mediaNodeId);
  }

  /**
   * Closes all links. One that is being opened, to a node that may be silent for seconds, is closed when it is open: a stop has other
   * things to end (SPEC LC16).
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
  // One that could not be opened was told to who needed it.
  if (link.status === 'fulfilled') link.value.close();
}
