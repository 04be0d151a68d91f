import { PlenaryError, RareLines } from '@plenary/cluster';
import type { BucketSettings, Clock, ControlRequestName, Logger } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { CallBudgets } from '../room/call-budgets.ts';

/**
 * Mediasoup calls that the requests of one other media node may make: enough to request all tracks of a very large
 * meeting again at once, and far more than one second of demand changes takes.
 */
export const NODE_CALLS: BucketSettings = { capacity: 6_000, refillPerSecond: 1_000 };
/** Requests of any kind, including refused ones. A node that exceeds this budget is disconnected. */
export const NODE_REQUESTS: BucketSettings = { capacity: 20_000, refillPerSecond: 4_000 };
/** Share of the pipe ports that one other node may use: in a cluster of two nodes, all pipes belong to one. */
export const MAX_PIPE_PORT_SHARE = 3 / 4;
/** Number of pipes that one other node may always open. */
const MIN_PIPES = 8;

/**
 * The mediasoup calls of each request. Requests that free something are never refused; their cost is charged in
 * advance. `pipe.locate` makes no call, and a node sends one per viewer: a thousand viewers who join at once would
 * spend the budget.
 */
export const CALLS_OF_NODE_REQUEST: Readonly<Record<string, number>> = {
  'pipe.locate': 0,
  'pipe.relay': 0,
  'pipe.open': 3,
  'pipe.consume': 2,
  'pipe.demand': 1,
  'pipe.traffic': 1,
  'pipe.release': 0,
  'pipe.close': 0,
} satisfies Readonly<Partial<Record<ControlRequestName, number>>>;

type Resource = 'mediasoup' | 'pipes' | 'requests';

export interface NodeBudgetsSettings {
  readonly clock: Clock;
  readonly metrics: Pick<NodeMetrics, 'limited'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Number of ports for pipes on this node. */
  readonly pipePorts: number;
}

/** Limits the cost of other media nodes, each by its authenticated id, over all its links (SPEC BU20). */
export class NodeBudgets {
  readonly #settings: NodeBudgetsSettings;
  readonly #calls: CallBudgets;
  readonly #requests: CallBudgets;
  readonly #pipes = new Map<string, number>();
  readonly #lines: RareLines;

  constructor(settings: NodeBudgetsSettings) {
    this.#settings = settings;
    this.#calls = new CallBudgets(NODE_CALLS, settings.clock);
    this.#requests = new CallBudgets(NODE_REQUESTS, settings.clock);
    this.#lines = new RareLines(settings.clock);
  }

  /** Counts one more request. @returns whether the node has sent so many that its link must be closed */
  isFlooding(nodeId: string): boolean {
    if (this.#requests.spend(nodeId, 1)) return false;
    this.#limited('requests', nodeId, 'media node disconnected: it sends too many requests');
    return true;
  }

  /** @throws PlenaryError `rate_limited` */
  spend(nodeId: string, name: ControlRequestName): void {
    const calls = CALLS_OF_NODE_REQUEST[name] ?? 1;
    if (calls === 0 || this.#calls.spend(nodeId, calls)) return;
    this.#limited('mediasoup', nodeId, 'request of a media node refused: its budget is spent');
    throw new PlenaryError('rate_limited', 'Too many requests for pipes.');
  }

  /**
   * Counts one more open pipe of a node. @returns a function that ends the count @throws PlenaryError `rate_limited`
   */
  holdPipe(nodeId: string): () => void {
    const open = this.#pipes.get(nodeId) ?? 0;
    if (open >= Math.max(MIN_PIPES, this.#settings.pipePorts * MAX_PIPE_PORT_SHARE)) {
      this.#limited('pipes', nodeId, 'request of a media node refused: it has too many pipes');
      throw new PlenaryError('rate_limited', 'Too many pipes.');
    }
    this.#pipes.set(nodeId, open + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#pipes.get(nodeId) ?? 0) - 1;
      if (left > 0) this.#pipes.set(nodeId, left);
      else this.#pipes.delete(nodeId);
    };
  }

  /** Logs how many lines were left out so far. */
  close(): void {
    this.#lines.close();
  }

  #limited(resource: Resource, nodeId: string, message: string): void {
    const { metrics, logger } = this.#settings;
    metrics.limited.inc({ scope: 'node', resource });
    this.#lines.say(resource, (unsaid) => {
      logger.warn({ scope: 'node', resource, mediaNodeId: nodeId, unsaid }, message);
    });
  }
}
