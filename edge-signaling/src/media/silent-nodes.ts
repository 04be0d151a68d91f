import type { Clock } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';

/** For how long a node that let an admission time out is passed over, in milliseconds, before one person tries it again. */
export const SILENT_REST_MS = 10_000;

interface Silence {
  /** When an admission was last found to be not answered. */
  readonly sinceMs: number;
  readonly restUntilMs: number;
}

/** The media nodes that let an admission time out, as this edge found out: one person waits for it, and no others (SPEC HL42, HL44). */
export class SilentNodes {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #silences = new Map<MediaNodeId, Silence>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Those that are passed over while another one can take a peer. */
  get rested(): ReadonlySet<MediaNodeId> {
    const nowMs = this.#clock.monotonicMs();
    return new Set(
      [...this.#silences]
        .filter(([, { restUntilMs }]) => nowMs < restUntilMs)
        .map(([mediaNodeId]) => mediaNodeId),
    );
  }

  /** Somebody is sent to a node. Where its rest is over, others pass it over until this one was answered. */
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

  /** Whether an admission was found to be not answered there since then. */
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
