import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import { EntryGate } from './entry-gate.ts';
import type { Entrant } from './entry-gate.ts';

export interface AdmissionGatesSettings {
  /** Admissions that are requested from one media node at a time. */
  readonly atOnce: number;
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Called with the number of entrants that wait for all nodes together, whenever it changes. */
  readonly onWaiting: (count: number) => void;
}

/**
 * A gate for each media node (SPEC BU14). A bounded number of admissions is under way at a node, so that the first ones complete
 * while the last ones wait. A node that does not answer delays no peers of other nodes.
 */
export class AdmissionGates {
  readonly #settings: AdmissionGatesSettings;
  readonly #gates = new Map<MediaNodeId, { readonly gate: EntryGate; waiting: number }>();
  #waiting = 0;

  constructor(settings: AdmissionGatesSettings) {
    this.#settings = settings;
  }

  /** @throws PlenaryError `timed_out` if no turn came in time, or the client is gone; any error of the work */
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

  /** The shortest time that the next entrant of any of these nodes has waited, in milliseconds; 0 without a node. */
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
