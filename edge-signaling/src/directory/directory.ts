import { RecentPlacements, every, inBackground } from '@plenary/cluster';
import type { Clock, EdgeRecord, MediaNodeRecord, Registry } from '@plenary/cluster';
import type { EdgeId, MediaNodeId } from '@plenary/cluster/ids';
import { LastSeen } from './last-seen.ts';
import { LongestSeen } from './longest-seen.ts';
import type { ReportFault } from '../metrics.ts';

/** How often the registry is read, in milliseconds. */
export const DIRECTORY_REFRESH_MS = 1_000;
const FORGET_AFTER_MS = 3_600_000;
/** A page that an edge served may live on for this long after the edge is gone, in milliseconds. */
const REMEMBER_EDGE_URLS_MS = 24 * 3_600_000;
/** Of either kind: far more than any cluster loses in an hour. */
const MAX_GONE = 10_000;
const MAX_EDGE_URLS = 256;
/** Nodes whose entries lapsed lately: so many lapse at once only where all do. */
const MAX_LAPSED = 1_000;

export interface DirectorySettings {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly reportFault: ReportFault;
  /** How long a media node is remembered as lapsed, in milliseconds: see {@link Directory.lapsedNodes}. */
  readonly lapsedForMs: number;
  /** How many that are gone are remembered, of either kind. */
  readonly maxGone?: number;
  /** Whether an edge of this cluster wrote the record: see `edge-proofs.ts`. */
  readonly isProven: (edge: EdgeRecord) => boolean;
}

/**
 * The registry as this edge last read it: at most a second old while the store answers, and the last known truth while
 * it does not. A cache, so that a join costs no reading of the registry.
 */
export class Directory {
  readonly #settings: DirectorySettings;
  readonly #lastSeen: Readonly<Record<'nodes' | 'edges', LastSeen<string>>>;
  readonly #edgeUrls = new LongestSeen<string>(MAX_EDGE_URLS);
  readonly #edgeIds = new LongestSeen<EdgeId>(MAX_EDGE_URLS);
  readonly #placements = new RecentPlacements();
  #nodes: readonly MediaNodeRecord[] = [];
  #edges: readonly EdgeRecord[] = [];
  /** Whatever says that it is an edge. */
  #announcedEdges: readonly EdgeRecord[] = [];
  #lapsed: readonly MediaNodeRecord[] = [];
  /** Since when every reading went well. */
  #certainSinceMs: number | undefined;
  readonly #listeners: ((nodes: readonly MediaNodeRecord[]) => void)[] = [];
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: DirectorySettings) {
    this.#settings = settings;
    const { maxGone = MAX_GONE } = settings;
    this.#lastSeen = { nodes: new LastSeen(maxGone), edges: new LastSeen(maxGone) };
  }

  /** Calls back after each successful reading, in the order of the listeners. */
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
   * Media nodes that were announced a moment ago and are not any more, as they were read last. Either they are
   * gone, or only their entries are: the store was emptied, or stood still for longer than a lease.
   */
  get lapsedNodes(): readonly MediaNodeRecord[] {
    return this.#lapsed;
  }

  /** Edges of this cluster. */
  get edges(): readonly EdgeRecord[] {
    return this.#edges;
  }

  /** Announced edges that do not prove that they are of this cluster: nobody who is served here is sent there. */
  get unprovenEdges(): readonly EdgeRecord[] {
    const proven = new Set(this.#edges);
    return this.#announcedEdges.filter((edge) => !proven.has(edge));
  }

  /** The URLs of all edges that lived within the last day: their pages go on at the others. */
  rememberedEdgeUrls(): readonly string[] {
    return this.#edgeUrls.all();
  }

  /**
   * Edges that take clients, `max` at most: those that have been there longest, in the order of their ids.
   * @param which - `announced`: also what does not prove that it is one, as to an edge with another secret none does
   */
  servingEdges(max: number, which: 'proven' | 'announced' = 'proven'): readonly EdgeRecord[] {
    const known = which === 'proven' ? this.#edges : this.#announcedEdges;
    const serving = known.filter(({ state }) => state === 'serving');
    if (serving.length <= max) return serving;
    const sinceMs = ({ edgeId }: EdgeRecord): number => this.#edgeIds.firstSeenMs(edgeId) ?? Number.MAX_VALUE;
    const first = new Set([...serving].sort((left, right) => sinceMs(left) - sinceMs(right)).slice(0, max));
    return serving.filter((edge) => first.has(edge));
  }

  /** Reads the registry now; callers at the same time share one reading. Never throws: what is known stays. */
  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /**
   * Reads the registry and returns whether it announces the node; also `true` where it cannot be read. A reading under way may
   * have begun before the question, so another one follows it.
   */
  async isAnnouncedNow(mediaNodeId: MediaNodeId): Promise<boolean> {
    await this.#reading;
    await this.refresh();
    return this.#certainSinceMs === undefined || this.#nodes.some((node) => node.mediaNodeId === mediaNodeId);
  }

  /** Notes a placement, so that a burst between two load reports does not land on one node. */
  notePlacement(mediaNodeId: MediaNodeId): void {
    this.#placements.note(mediaNodeId, this.#settings.clock.monotonicMs());
  }

  /** Placements made here that no report of their node contains for sure. */
  inFlight(): ReadonlyMap<MediaNodeId, number> {
    return this.#placements.inFlight();
  }

  /** Joins of each node within the last `JOIN_INTERVAL_MS`, as far as they are known here. */
  joins(): ReadonlyMap<MediaNodeId, number> {
    return this.#placements.joins(this.#settings.clock.monotonicMs());
  }

  /**
   * For how long an edge or media node has surely been missing, in milliseconds: not at all if the last reading contains it.
   * Time in which the registry could not be read does not count, since the owners could not renew their leases either.
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
      // Also one that proves nothing, as of another release, may hold sessions.
      this.#lastSeen.edges.onRead(
        announced.map(({ edgeId }) => edgeId),
        nowMs,
      );
      for (const kind of Object.values(this.#lastSeen)) kind.forgetBefore(nowMs - FORGET_AFTER_MS);
      // A page proves nothing by where it came from, and one that such an edge served may go on elsewhere.
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
      // While the store is away this fails each second: said when it begins.
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
