import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import { chooseSlice, findOverlap, hasRested } from './port-slices.ts';
import type { SliceHolding } from './port-slices.ts';
import type {
  AnnounceResult,
  EdgeRecord,
  MediaNodeRecord,
  PortSliceClaim,
  PortSliceResult,
  Registry,
} from './registry.ts';

interface Leased<RecordType> {
  readonly record: RecordType;
  readonly untilMs: number;
}

/** A registry in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryRegistry implements Registry {
  readonly #clock: Clock;
  readonly #mediaNodes = new Map<MediaNodeId, Leased<MediaNodeRecord>>();
  readonly #edges = new Map<EdgeId, Leased<EdgeRecord>>();
  /** By ports and addresses. */
  readonly #slices = new Map<string, SliceHolding>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Keeps what is here now. @returns brings it back, as a failover does that forgets what was written since */
  snapshot(): () => void {
    const [mediaNodes, edges, slices] = [[...this.#mediaNodes], [...this.#edges], [...this.#slices]];
    return () => {
      this.clear();
      for (const [id, entry] of mediaNodes) this.#mediaNodes.set(id, entry);
      for (const [id, entry] of edges) this.#edges.set(id, entry);
      for (const [key, held] of slices) this.#slices.set(key, held);
    };
  }

  /** Forgets everything, as `FLUSHALL` does. */
  clear(): void {
    this.#mediaNodes.clear();
    this.#edges.clear();
    this.#slices.clear();
  }

  claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult> {
    const nowMs = this.#clock.wallMs();
    const result = chooseSlice([...this.#slices.values()], claim, nowMs);
    if (result.refused === null) {
      const { mediaNodeId, incarnation, announcedAddress, announcedIpv6 } = claim;
      const addresses = { announcedAddress, announcedIpv6 };
      const { portSlice } = result;
      this.#giveBack((held) => held.mediaNodeId === mediaNodeId && held.incarnation === incarnation);
      this.#hold({ mediaNodeId, incarnation, portSlice, addresses, leaseUntilMs: nowMs + leaseMs });
    }
    return Promise.resolve(result);
  }

  announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const { mediaNodeId, incarnation, portSlice, announcedAddress, announcedIpv6 } = record;
    const nowMs = this.#clock.wallMs();
    const holder = this.#mediaNodes.get(mediaNodeId);
    if (holder !== undefined && holder.untilMs > nowMs && holder.record.incarnation !== incarnation) {
      return Promise.resolve({ refused: 'id_taken' });
    }
    const addresses = { announcedAddress, announcedIpv6 };
    const overlap = findOverlap([...this.#slices.values()], { mediaNodeId, portSlice, addresses }, nowMs);
    if (overlap !== undefined) {
      const { mediaNodeId: by, portSlice: theirs } = overlap;
      return Promise.resolve({ refused: 'port_slice_overlap', by, portSlice: theirs });
    }
    const leaseUntilMs = nowMs + leaseMs;
    // Whatever a previous life of the node held is no longer needed: the id is this incarnation's.
    this.#giveBack((held) => held.mediaNodeId === mediaNodeId);
    this.#hold({ mediaNodeId, incarnation, portSlice, addresses, leaseUntilMs });
    this.#mediaNodes.set(mediaNodeId, { record, untilMs: leaseUntilMs });
    return Promise.resolve({ refused: null });
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
    this.#giveBack((held) => held.mediaNodeId === mediaNodeId && held.incarnation === incarnation);
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

  /** Holds a slice, and forgets what has rested. */
  #hold(holding: SliceHolding): void {
    const nowMs = this.#clock.wallMs();
    for (const [key, held] of this.#slices) if (hasRested(held, nowMs)) this.#slices.delete(key);
    const { portSlice, addresses } = holding;
    const { announcedAddress, announcedIpv6 = '' } = addresses;
    this.#slices.set(
      [portSlice.firstPort, portSlice.lastPort, announcedAddress, announcedIpv6].join('|'),
      holding,
    );
  }

  #giveBack(which: (held: SliceHolding) => boolean): void {
    const nowMs = this.#clock.wallMs();
    for (const [key, held] of this.#slices) {
      if (held.leaseUntilMs > nowMs && which(held)) this.#slices.set(key, { ...held, leaseUntilMs: nowMs });
    }
  }

  #live<Id, RecordType>(entries: ReadonlyMap<Id, Leased<RecordType>>): RecordType[] {
    const nowMs = this.#clock.wallMs();
    return [...entries.values()].filter((entry) => entry.untilMs > nowMs).map((entry) => entry.record);
  }
}
