import { every, inBackground } from '@plenary/cluster';
import type { Clock, EdgeRecord, Logger } from '@plenary/cluster';

/** How often a node without a link of an edge looks for edges, in milliseconds. */
const LOOK_EVERY_MS = 2_500;
/** Edges find a new node within a second or two, and try again as often: those that serve for so long do not reach it. */
const PATIENCE_MS = 10_000;
/** So many edges are named in the line that says so. */
const SHOWN_EDGES = 5;

export interface EdgeLinkWatchOptions {
  readonly hasEdgeLink: () => boolean;
  readonly liveEdges: () => Promise<readonly Pick<EdgeRecord, 'edgeId' | 'state'>[]>;
  readonly controlUrl: string;
  /** For so long an edge that died may stand in the registry. */
  readonly leaseMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onChange: (isUnlinked: boolean) => void;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/**
 * Finds out that edges serve and none of them has a control link to this node: nobody is sent to it, and it would wait for people for
 * ever (SPEC HL16). Where no edge serves, nothing is known, and nothing is said.
 */
export class EdgeLinkWatch {
  readonly #options: EdgeLinkWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Since when edges serve, and none has a link. */
  #sinceMs: number | undefined;
  #isUnlinked = false;

  constructor(options: EdgeLinkWatchOptions) {
    this.#options = options;
  }

  get isUnlinked(): boolean {
    return this.#isUnlinked;
  }

  start(): void {
    this.#timer = every(LOOK_EVERY_MS, () => inBackground(() => this.check()));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** An edge has opened a link. */
  opened(): void {
    this.#clear('an edge has a control link to this media node again');
  }

  /** Never rejects. */
  async check(): Promise<void> {
    const { hasEdgeLink, liveEdges, leaseMs, clock } = this.#options;
    if (hasEdgeLink()) {
      this.opened();
      return;
    }
    // Of a registry that cannot be read another watch tells, and what is not known changes nothing.
    const edges = await liveEdges().catch(() => undefined);
    if (edges === undefined || hasEdgeLink()) return;
    const serving = edges.filter(({ state }) => state === 'serving');
    if (serving.length === 0) {
      this.#clear('no edge serves; a control link to this media node is not expected');
      return;
    }
    this.#sinceMs ??= clock.monotonicMs();
    const patienceMs = Math.max(PATIENCE_MS, 2 * leaseMs);
    if (!this.#isUnlinked && clock.monotonicMs() - this.#sinceMs >= patienceMs) this.#found(serving);
  }

  #clear(why: string): void {
    this.#sinceMs = undefined;
    if (!this.#isUnlinked) return;
    this.#isUnlinked = false;
    this.#options.logger.info(why);
    this.#options.onChange(false);
  }

  #found(serving: readonly Pick<EdgeRecord, 'edgeId'>[]): void {
    const { controlUrl, logger, onChange } = this.#options;
    this.#isUnlinked = true;
    logger.error(
      {
        controlUrl,
        edges: serving.slice(0, SHOWN_EDGES).map(({ edgeId }) => edgeId),
        toDo: 'see that edges reach PLENARY_CONTROL_URL (name, port, certificate, firewalls), and that this node has their PLENARY_CLUSTER_SECRET and release: the edges’ /ready and logs name what they get',
      },
      'no edge has a control link to this media node, although edges serve; no peers are placed here',
    );
    onChange(true);
  }
}
