/** How long the share is averaged over, in milliseconds, so that a short peak does not count as full load. */
const AVERAGED_OVER_MS = 3_000;

/** The share of one core that a process uses, averaged with a weight that falls with age. */
export class CpuShare {
  #share = 0;
  #last: { readonly cpuMs: number; readonly atMs: number } | undefined;

  /** 0 to 1, or more when the process has several threads; 0 until the second measurement. */
  get share(): number {
    return this.#share;
  }

  /**
   * Adds a measurement. The first one only sets the start, so that the cost of starting does not count as load.
   * @param cpuMs - CPU time that the process has used since its start
   * @param atMs - from a monotonic clock
   */
  measure(cpuMs: number, atMs: number): void {
    const last = this.#last;
    this.#last = { cpuMs, atMs };
    const elapsedMs = last === undefined ? 0 : atMs - last.atMs;
    if (last === undefined || elapsedMs <= 0) return;
    const now = Math.max(0, (cpuMs - last.cpuMs) / elapsedMs);
    const keep = Math.exp(-elapsedMs / AVERAGED_OVER_MS);
    this.#share = this.#share * keep + now * (1 - keep);
  }
}
