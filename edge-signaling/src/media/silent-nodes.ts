import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';

/** How long a node is passed over after an admission timed out there, in milliseconds, before one peer tries it again. */
export const SILENT_REST_MS = 10_000;

interface Silence {
  /** When an admission last timed out. */
  readonly sinceMs: number;
  readonly restUntilMs: number;
}

/** The media nodes at which an admission of this edge timed out. One peer at a time tries such a node (SPEC HL42, HL44). */
export class SilentNodes {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #silences = new Map<MediaNodeId, Silence>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** The nodes that are passed over while another node can take a peer. */
  get rested(): ReadonlySet<MediaNodeId> {
    const nowMs = this.#clock.monotonicMs();
    return new Set(
      [...this.#silences]
        .filter(([, { restUntilMs }]) => nowMs < restUntilMs)
        .map(([mediaNodeId]) => mediaNodeId),
    );
  }

  /** Notes that a peer is sent to a node. After the node's rest, other peers pass it over until this peer is answered. */
  sent(mediaNodeId: MediaNodeId): void {
    const silence = this.#silences.get(mediaNodeId);
    if (silence !== undefined) this.#rest(mediaNodeId, silence.sinceMs);
  }

  timedOut(mediaNodeId: MediaNodeId): void {
    this.#rest(mediaNodeId, this.#clock.monotonicMs());
  }

  answered(mediaNodeId: MediaNodeId): void {
    this.#silences.delete(mediaNodeId);
  }

  /** Whether an admission timed out at the node after the given time. */
  isSilentSince(mediaNodeId: MediaNodeId, sinceMs: number): boolean {
    return (this.#silences.get(mediaNodeId)?.sinceMs ?? Number.NEGATIVE_INFINITY) > sinceMs;
  }

  #rest(mediaNodeId: MediaNodeId, sinceMs: number): void {
    this.#silences.set(mediaNodeId, {
      sinceMs,
      restUntilMs: this.#clock.monotonicMs() + SILENT_REST_MS,
    });
  }
}
