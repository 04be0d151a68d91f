/** Over how long a share is averaged, in milliseconds: what is busy for a moment only is not full. */
const AVERAGED_OVER_MS = 3_000;

/** How much of one core something uses, averaged with a weight that falls with age. */
export class CpuShare {
  #share = 0;
  #last: { readonly cpuMs: number; readonly atMs: number } | undefined;

  /** 0 to 1, or more when it has several threads; 0 until it was measured twice. */
  get share(): number {
    return this.#share;
  }

  /**
   * The first measurement only begins, so that what a start costs is not taken for load.
   * @param cpuMs - CPU time that it has used since it began
   * @param atMs - of a clock that never jumps
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
