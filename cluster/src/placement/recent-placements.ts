import type { MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';

/** Over how long a node's joins are counted against the limit on them, in milliseconds. */
export const JOIN_INTERVAL_MS = 5_000;
/**
 * How long a placement takes to show in what its node reports: the admission itself, and the second over which load is
 * measured.
 */
const SETTLE_MS = 1_000;
/** A node that reports nothing for longer has other troubles than load. */
const FORGET_MS = 60_000;

interface NodeNotes {
  /** When placements were made that no report contains for sure, the oldest first. */
  inFlightMs: number[];
  /** When placements were made within the join interval, the oldest first. */
  joinsMs: number[];
  reportedAtMs: number;
  reportedJoins: number;
}

/**
 * The placements that one edge made lately: those that a node's report cannot contain yet, and how many joins a node got
 * within {@link JOIN_INTERVAL_MS}, of this edge or, as far as the node reported them, of all. Pure but for its own
 * notes: time is handed in, in milliseconds of a clock that never jumps.
 */
export class RecentPlacements {
  readonly #notes = new Map<MediaNodeId, NodeNotes>();
  #lastReadAtMs = Number.NEGATIVE_INFINITY;

  /** A placement was made. */
  note(mediaNodeId: MediaNodeId, nowMs: number): void {
    const notes = this.#notesOf(mediaNodeId);
    notes.inFlightMs.push(nowMs);
    notes.joinsMs.push(nowMs);
  }

  /**
   * The registry was read. A report that was not there at the reading before was made after it, and so contains what was
   * placed a moment before that reading.
   * @param startedAtMs - when the reading began
   */
  onRead(nodes: readonly MediaNodeRecord[], startedAtMs: number): void {
    for (const node of nodes) {
      const notes = this.#notesOf(node.mediaNodeId);
      // A node of an older version does not say when it reported: each reading is taken for a new report.
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

  /** Placements by node that its last report cannot contain. */
  inFlight(): ReadonlyMap<MediaNodeId, number> {
    return new Map([...this.#notes].map(([mediaNodeId, notes]) => [mediaNodeId, notes.inFlightMs.length]));
  }

  /** Joins by node within the last {@link JOIN_INTERVAL_MS}: this edge's own, or, when that is more, all that are known. */
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
