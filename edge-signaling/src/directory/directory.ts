import { RecentPlacements, every, inBackground } from '@plenary/cluster';
import type { Clock, EdgeRecord, MediaNodeRecord, Registry } from '@plenary/cluster';
import type { EdgeId, MediaNodeId } from '@plenary/cluster/ids';
import { LastSeen } from './last-seen.ts';
import { LongestSeen } from './longest-seen.ts';
import type { ReportFault } from '../metrics.ts';

/** How often the registry is read, in milliseconds. */
export const DIRECTORY_REFRESH_MS = 1_000;
const FORGET_AFTER_MS = 3_600_000;
/** How long the URL of an edge is remembered after the edge is gone, in milliseconds: its pages may stay open. */
const REMEMBER_EDGE_URLS_MS = 24 * 3_600_000;
/** Missing nodes, and missing edges, that are remembered at most: far more than any cluster loses in an hour. */
const MAX_GONE = 10_000;
const MAX_EDGE_URLS = 256;
/** Lapsed nodes that are remembered at most; more lapse at once only when all do. */
const MAX_LAPSED = 1_000;

export interface DirectorySettings {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly reportFault: ReportFault;
  /** How long a media node is remembered as lapsed, in milliseconds: see {@link Directory.lapsedNodes}. */
  readonly lapsedForMs: number;
  /** How many missing nodes, and how many missing edges, are remembered. */
  readonly maxGone?: number;
  /** Whether an edge of this cluster wrote the record: see `edge-proofs.ts`. */
  readonly isProven: (edge: EdgeRecord) => boolean;
}

/**
 * The copy of the registry that this edge read last: at most a second old while the store answers, and the last known state
 * while it does not. A join reads this copy and costs no read of the registry.
 */
export class Directory {
  readonly #settings: DirectorySettings;
  readonly #lastSeen: Readonly<Record<'nodes' | 'edges', LastSeen<string>>>;
  readonly #edgeUrls = new LongestSeen<string>(MAX_EDGE_URLS);
  readonly #edgeIds = new LongestSeen<EdgeId>(MAX_EDGE_URLS);
  readonly #placements = new RecentPlacements();
  #nodes: readonly MediaNodeRecord[] = [];
  #edges: readonly EdgeRecord[] = [];
  /** All announced edges, proven or not. */
  #announcedEdges: readonly EdgeRecord[] = [];
  #lapsed: readonly MediaNodeRecord[] = [];
  /** The time since which every read of the registry succeeded. */
  #certainSinceMs: number | undefined;
  readonly #listeners: ((nodes: readonly MediaNodeRecord[]) => void)[] = [];
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: DirectorySettings) {
    this.#settings = settings;
    const { maxGone = MAX_GONE } = settings;
    this.#lastSeen = { nodes: new LastSeen(maxGone), edges: new LastSeen(maxGone) };
  }

  /** Calls the listeners after each successful read, in the order in which they were added. */
  onRead(listener: (nodes: readonly MediaNodeRecord[]) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#timer = every(DIRECTORY_REFRESH_MS, () => this.refresh());
    inBackground(() => this.refresh());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get mediaNodes(): readonly MediaNodeRecord[] {
    return this.#nodes;
  }

  /**
   * The last records of media nodes that were announced a moment ago and are not any more. Either the nodes are gone, or
   * only their entries are: the store was emptied, or it stalled for longer than a lease.
   */
  get lapsedNodes(): readonly MediaNodeRecord[] {
    return this.#lapsed;
  }

  /** Edges of this cluster. */
  get edges(): readonly EdgeRecord[] {
    return this.#edges;
  }

  /** Announced edges that do not prove that they belong to this cluster: this edge sends no client to them. */
  get unprovenEdges(): readonly EdgeRecord[] {
    const proven = new Set(this.#edges);
    return this.#announcedEdges.filter((edge) => !proven.has(edge));
  }

  /** The URLs of all edges that were announced within the last day: pages that they served continue at other edges. */
  rememberedEdgeUrls(): readonly string[] {
    return this.#edgeUrls.all();
  }

  /**
   * Edges that take clients, `max` at most: those that have been announced longest, in the order of their ids.
   * @param which - `announced`: also edges without a valid proof; an edge with a wrong secret finds no valid proof at all
   */
  servingEdges(max: number, which: 'proven' | 'announced' = 'proven'): readonly EdgeRecord[] {
    const known = which === 'proven' ? this.#edges : this.#announcedEdges;
    const serving = known.filter(({ state }) => state === 'serving');
    if (serving.length <= max) return serving;
    const sinceMs = ({ edgeId }: EdgeRecord): number => this.#edgeIds.firstSeenMs(edgeId) ?? Number.MAX_VALUE;
    const first = new Set([...serving].sort((left, right) => sinceMs(left) - sinceMs(right)).slice(0, max));
    return serving.filter((edge) => first.has(edge));
  }

  /** Reads the registry now; concurrent callers share one read. Never throws: after a failure the last copy stays. */
  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /**
   * Reads the registry and returns whether it announces the node; also `true` when the registry cannot be read. A read under
   * way may have begun before this call, so another one follows it.
   */
  async isAnnouncedNow(mediaNodeId: MediaNodeId): Promise<boolean> {
    await this.#reading;
    await this.refresh();
    return this.#certainSinceMs === undefined || this.#nodes.some((node) => node.mediaNodeId === mediaNodeId);
  }

  /** Notes a placement, so that a burst of joins between two load reports is not placed on one node. */
  notePlacement(mediaNodeId: MediaNodeId): void {
    this.#placements.note(mediaNodeId, this.#settings.clock.monotonicMs());
  }

  /** Placements made by this edge that the node's last load report may not contain. */
  inFlight(): ReadonlyMap<MediaNodeId, number> {
    return this.#placements.inFlight();
  }

  /** Joins of each node within the last `JOIN_INTERVAL_MS`, as far as this edge knows them. */
  joins(): ReadonlyMap<MediaNodeId, number> {
    return this.#placements.joins(this.#settings.clock.monotonicMs());
  }

  /**
   * How long an edge or media node has certainly been missing, in milliseconds: 0 if the last read contains it.
   * Time in which the registry could not be read does not count, because owners could not renew their leases either.
   */
  missingForMs(id: EdgeId | MediaNodeId): number {
    if (this.#certainSinceMs === undefined) return 0;
    const { nodes, edges } = this.#lastSeen;
    const ofNodesMs = nodes.goneSinceMs(id);
    const ofEdgesMs = edges.goneSinceMs(id);
    if (ofNodesMs === undefined || ofEdgesMs === undefined) return 0;
    return this.#settings.clock.monotonicMs() - Math.max(ofNodesMs, ofEdgesMs, this.#certainSinceMs);
  }

  async #read(): Promise<void> {
    const { registry, clock, reportFault, isProven } = this.#settings;
    const startedAtMs = clock.monotonicMs();
    try {
      const [nodes, announced] = await Promise.all([registry.liveMediaNodes(), registry.liveEdges()]);
      const nowMs = clock.monotonicMs();
      const before = [...this.#nodes, ...this.#lapsed];
      this.#nodes = nodes;
      this.#announcedEdges = announced;
      this.#edges = announced.filter(isProven);
      this.#placements.onRead(nodes, startedAtMs);
      this.#certainSinceMs ??= nowMs;
      this.#lastSeen.nodes.onRead(
        nodes.map(({ mediaNodeId }) => mediaNodeId),
        nowMs,
      );
      this.#lapsed = before
        .filter(({ mediaNodeId }) => this.#hasLapsed(mediaNodeId, nowMs))
        .slice(0, MAX_LAPSED);
      // An edge without a proof may hold sessions too: it may run another release.
      this.#lastSeen.edges.onRead(
        announced.map(({ edgeId }) => edgeId),
        nowMs,
      );
      for (const kind of Object.values(this.#lastSeen)) kind.forgetBefore(nowMs - FORGET_AFTER_MS);
      // URLs of unproven edges count too: an origin proves nothing about its page, so such pages may continue here.
      this.#edgeUrls.onRead(
        announced.map(({ publicUrl }) => publicUrl),
        nowMs,
      );
      this.#edgeUrls.forgetBefore(nowMs - REMEMBER_EDGE_URLS_MS);
      this.#edgeIds.onRead(
        announced.map(({ edgeId }) => edgeId),
        nowMs,
      );
      this.#edgeIds.forgetBefore(nowMs - FORGET_AFTER_MS);
      for (const listener of this.#listeners) listener(nodes);
    } catch (fault) {
      // While the store is down each read fails: only the first failure is reported.
      if (this.#certainSinceMs !== undefined)
        reportFault('background', fault, { doing: 'reading the registry' });
      this.#certainSinceMs = undefined;
    }
  }

  #hasLapsed(mediaNodeId: MediaNodeId, nowMs: number): boolean {
    const goneSinceMs = this.#lastSeen.nodes.goneSinceMs(mediaNodeId);
    return goneSinceMs !== undefined && nowMs - goneSinceMs <= this.#settings.lapsedForMs;
  }
}
