import { every, inBackground } from '@plenary/cluster';
import type { Clock, EdgeRecord, Logger } from '@plenary/cluster';

/** Interval between checks while the node has no link from an edge, in milliseconds. */
const CHECK_INTERVAL_MS = 2_500;
/**
 * How long edges may serve without linking to this node, in milliseconds. Edges find a new node within two seconds
 * and retry as often.
 */
const PATIENCE_MS = 10_000;
/** Maximum number of edges that the log line names. */
const MAX_NAMED_EDGES = 5;

export interface EdgeLinkWatchOptions {
  readonly hasEdgeLink: () => boolean;
  readonly liveEdges: () => Promise<readonly Pick<EdgeRecord, 'edgeId' | 'state'>[]>;
  readonly controlUrl: string;
  /** How long a dead edge may stay in the registry, in milliseconds. */
  readonly leaseMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onChange: (isUnlinked: boolean) => void;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/**
 * Finds out when edges serve and none of them has a control link to this node: no peers are placed on such a node,
 * and it would wait for them forever (SPEC HL16). Reports nothing while no edge serves.
 */
export class EdgeLinkWatch {
  readonly #options: EdgeLinkWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  /** When edges were first seen to serve without a link to this node, in milliseconds. */
  #sinceMs: number | undefined;
  #isUnlinked = false;

  constructor(options: EdgeLinkWatchOptions) {
    this.#options = options;
  }

  get isUnlinked(): boolean {
    return this.#isUnlinked;
  }

  start(): void {
    this.#timer = every(CHECK_INTERVAL_MS, () => inBackground(() => this.check()));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Notes that an edge has opened a link. */
  edgeLinkOpened(): void {
    this.#clear('an edge has a control link to this media node again');
  }

  /** Checks once. Never rejects. */
  async check(): Promise<void> {
    const { hasEdgeLink, liveEdges, leaseMs, clock } = this.#options;
    if (hasEdgeLink()) {
      this.edgeLinkOpened();
      return;
    }
    // An unreadable registry is reported by another watch, and changes nothing here.
    const edges = await liveEdges().catch(() => undefined);
    if (edges === undefined || hasEdgeLink()) return;
    const serving = edges.filter(({ state }) => state === 'serving');
    if (serving.length === 0) {
      this.#clear('no edge serves; a control link to this media node is not expected');
      return;
    }
    this.#sinceMs ??= clock.monotonicMs();
    const patienceMs = Math.max(PATIENCE_MS, 2 * leaseMs);
    if (!this.#isUnlinked && clock.monotonicMs() - this.#sinceMs >= patienceMs) this.#reportUnlinked(serving);
  }

  #clear(why: string): void {
    this.#sinceMs = undefined;
    if (!this.#isUnlinked) return;
    this.#isUnlinked = false;
    this.#options.logger.info(why);
    this.#options.onChange(false);
  }

  #reportUnlinked(serving: readonly Pick<EdgeRecord, 'edgeId'>[]): void {
    const { controlUrl, logger, onChange } = this.#options;
    this.#isUnlinked = true;
    logger.error(
      {
        controlUrl,
        edges: serving.slice(0, MAX_NAMED_EDGES).map(({ edgeId }) => edgeId),
        toDo: 'check that edges reach PLENARY_CONTROL_URL (name, port, certificate, firewalls), and that this node has their PLENARY_CLUSTER_SECRET and release; /ready and the logs of the edges show the error that they get',
      },
      'no edge has a control link to this media node, although edges serve; no peers are placed here',
    );
    onChange(true);
  }
}
