import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import { slicesOverlap } from './registry.ts';
import type { AnnounceResult, EdgeRecord, MediaNodeRecord, Registry } from './registry.ts';

interface Leased<RecordType> {
  readonly record: RecordType;
  readonly untilMs: number;
}

/** A registry in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryRegistry implements Registry {
  readonly #clock: Clock;
  readonly #mediaNodes = new Map<MediaNodeId, Leased<MediaNodeRecord>>();
  readonly #edges = new Map<EdgeId, Leased<EdgeRecord>>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Keeps what is here now. @returns brings it back, as a failover does that forgets what was written since */
  snapshot(): () => void {
    const [mediaNodes, edges] = [[...this.#mediaNodes], [...this.#edges]];
    return () => {
      this.clear();
      for (const [id, entry] of mediaNodes) this.#mediaNodes.set(id, entry);
      for (const [id, entry] of edges) this.#edges.set(id, entry);
    };
  }

  /** Forgets everything, as `FLUSHALL` does. */
  clear(): void {
    this.#mediaNodes.clear();
    this.#edges.clear();
  }

  async announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const live = await this.liveMediaNodes();
    for (const other of live) {
      if (other.mediaNodeId === record.mediaNodeId) {
        if (other.incarnation !== record.incarnation) return { refused: 'id_taken' };
      } else if (
        other.announcedAddress === record.announcedAddress &&
        slicesOverlap(other.portSlice, record.portSlice)
      ) {
        return { refused: 'port_slice_overlap', by: other.mediaNodeId, portSlice: other.portSlice };
      }
    }
    this.#mediaNodes.set(record.mediaNodeId, { record, untilMs: this.#clock.wallMs() + leaseMs });
    return { refused: null };
  }

  async announceEdge(record: EdgeRecord, leaseMs: number): Promise<AnnounceResult> {
    const live = await this.liveEdges();
    const holder = live.find((other) => other.edgeId === record.edgeId);
    if (holder !== undefined && holder.incarnation !== record.incarnation) return { refused: 'id_taken' };
    this.#edges.set(record.edgeId, { record, untilMs: this.#clock.wallMs() + leaseMs });
    return { refused: null };
  }

  withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    if (this.#mediaNodes.get(mediaNodeId)?.record.incarnation === incarnation) {
      this.#mediaNodes.delete(mediaNodeId);
    }
    return Promise.resolve();
  }

  withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void> {
    if (this.#edges.get(edgeId)?.record.incarnation === incarnation) this.#edges.delete(edgeId);
    return Promise.resolve();
  }

  liveMediaNodes(): Promise<readonly MediaNodeRecord[]> {
    const live = this.#live(this.#mediaNodes);
    return Promise.resolve(live.sort((left, right) => (left.mediaNodeId < right.mediaNodeId ? -1 : 1)));
  }

  liveEdges(): Promise<readonly EdgeRecord[]> {
    const live = this.#live(this.#edges);
    return Promise.resolve(live.sort((left, right) => (left.edgeId < right.edgeId ? -1 : 1)));
  }

  #live<Id, RecordType>(entries: ReadonlyMap<Id, Leased<RecordType>>): RecordType[] {
    const nowMs = this.#clock.wallMs();
    return [...entries.values()].filter((entry) => entry.untilMs > nowMs).map((entry) => entry.record);
  }
}
