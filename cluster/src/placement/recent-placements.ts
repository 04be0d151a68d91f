import type { MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';

/** The window in which a node's joins count against its limit on joins, in milliseconds. */
export const JOIN_INTERVAL_MS = 5_000;
/**
 * How long a placement takes to show in its node's report, in milliseconds: the admission itself, and the second over
 * which load is measured.
 */
const SETTLE_MS = 1_000;
/**
 * A node that reports nothing for longer than this is forgotten, in milliseconds: load is the least of its problems.
 */
const FORGET_MS = 60_000;

interface NodeNotes {
  /** Times of placements that the last report may not contain yet, the oldest first. */
  inFlightMs: number[];
  /** Times of placements within the join interval, the oldest first. */
  joinsMs: number[];
  reportedAtMs: number;
  reportedJoins: number;
}

/**
 * The recent placements of one edge: those that a node's report cannot contain yet, and the joins of each node within
 * {@link JOIN_INTERVAL_MS} – this edge's, or those of all edges as far as the node reported them. Pure but for its own
 * notes: the caller gives the time, in milliseconds of a monotonic clock.
 */
export class RecentPlacements {
  readonly #notes = new Map<MediaNodeId, NodeNotes>();
  #lastReadAtMs = Number.NEGATIVE_INFINITY;

  /** Notes a placement. */
  note(mediaNodeId: MediaNodeId, nowMs: number): void {
    const notes = this.#notesOf(mediaNodeId);
    notes.inFlightMs.push(nowMs);
    notes.joinsMs.push(nowMs);
  }

  /**
   * Call this after each reading of the registry. A report that was absent at the reading before was made after that
   * reading, and so contains what was placed shortly before it.
   * @param startedAtMs - when the reading began
   */
  onRead(nodes: readonly MediaNodeRecord[], startedAtMs: number): void {
    for (const node of nodes) {
      const notes = this.#notesOf(node.mediaNodeId);
      // A node of an older version does not report a time: each reading counts as a new report.
      const isNew = node.reportedAtMs === 0 || node.reportedAtMs !== notes.reportedAtMs;
      if (!isNew) continue;
      notes.reportedAtMs = node.reportedAtMs;
      notes.reportedJoins = node.recentJoins;
      notes.inFlightMs = notes.inFlightMs.filter((atMs) => atMs > this.#lastReadAtMs - SETTLE_MS);
    }
    for (const [mediaNodeId, notes] of this.#notes) {
      notes.inFlightMs = notes.inFlightMs.filter((atMs) => atMs > startedAtMs - FORGET_MS);
      notes.joinsMs = notes.joinsMs.filter((atMs) => atMs > startedAtMs - JOIN_INTERVAL_MS);
      const isListed = nodes.some((node) => node.mediaNodeId === mediaNodeId);
      if (!isListed && notes.inFlightMs.length === 0) this.#notes.delete(mediaNodeId);
    }
    this.#lastReadAtMs = startedAtMs;
  }

  /** Placements per node that its last report cannot contain. */
  inFlight(): ReadonlyMap<MediaNodeId, number> {
    return new Map([...this.#notes].map(([mediaNodeId, notes]) => [mediaNodeId, notes.inFlightMs.length]));
  }

  /** Joins per node within the last {@link JOIN_INTERVAL_MS}: this edge's own, or, if that is more, all known ones. */
  joins(nowMs: number): ReadonlyMap<MediaNodeId, number> {
    const joins = new Map<MediaNodeId, number>();
    for (const [mediaNodeId, notes] of this.#notes) {
      const own = notes.joinsMs.filter((atMs) => atMs > nowMs - JOIN_INTERVAL_MS).length;
      joins.set(mediaNodeId, Math.max(own, notes.reportedJoins + notes.inFlightMs.length));
    }
    return joins;
  }

  #notesOf(mediaNodeId: MediaNodeId): NodeNotes {
    let notes = this.#notes.get(mediaNodeId);
    if (notes === undefined) {
      notes = { inFlightMs: [], joinsMs: [], reportedAtMs: 0, reportedJoins: 0 };
      this.#notes.set(mediaNodeId, notes);
    }
    return notes;
  }
}
