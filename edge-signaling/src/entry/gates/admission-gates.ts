import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import { EntryGate } from './entry-gate.ts';
import type { Entrant } from './entry-gate.ts';

export interface AdmissionGatesSettings {
  /** Admissions that one media node is asked for at a time. */
  readonly atOnce: number;
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Told how many wait for all nodes together, whenever that changes. */
  readonly onWaiting: (count: number) => void;
}

/**
 * A gate for each media node (SPEC BU14): so many admissions are under way there that the first ones are done while the last
 * ones wait, and a node that does not answer holds up nobody who goes to another one.
 */
export class AdmissionGates {
  readonly #settings: AdmissionGatesSettings;
  readonly #gates = new Map<MediaNodeId, { readonly gate: EntryGate; waiting: number }>();
  #waiting = 0;

  constructor(settings: AdmissionGatesSettings) {
    this.#settings = settings;
  }

  /** @throws PlenaryError `timed_out` when it was not its turn in time, or nobody wants it any more; what the work throws */
  async pass<Result>(
    mediaNodeId: MediaNodeId,
    entrant: Entrant,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const { gate } = this.#gateOf(mediaNodeId);
    try {
      return await gate.pass(entrant, work);
    } finally {
      if (gate.isIdle) this.#gates.delete(mediaNodeId);
    }
  }

  /** For how long the next one waits at the node where that is least; 0 where there is no node. */
  leastWaitedMs(mediaNodeIds: readonly MediaNodeId[]): number {
    if (mediaNodeIds.length === 0) return 0;
    return Math.min(...mediaNodeIds.map((id) => this.#gates.get(id)?.gate.waitedMs ?? 0));
  }

  #gateOf(mediaNodeId: MediaNodeId) {
    const known = this.#gates.get(mediaNodeId);
    if (known !== undefined) return known;
    const { atOnce, patienceMs, clock, onWaiting } = this.#settings;
    const gate = new EntryGate({
      atOnce,
      patienceMs,
      clock,
      onWaiting: (count) => {
        this.#waiting += count - made.waiting;
        made.waiting = count;
        onWaiting(this.#waiting);
      },
    });
    const made = { gate, waiting: 0 };
    this.#gates.set(mediaNodeId, made);
    return made;
  }
}
