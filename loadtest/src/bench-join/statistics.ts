/** The reported figures of a series of measurements. */
export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly worst: number;
}

/** The nearest-rank percentile of values in ascending order: a value that was really measured. */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Nearest-rank percentiles, in the measurements' unit. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly worst: number;
}

/** `null` without measurements. */
export function percentilesOf(values: readonly number[]): Percentiles | null {
  const sorted = [...values].sort((left, right) => left - right);
  const worst = sorted.at(-1);
  if (worst === undefined) return null;
  const at = (share: number): number => percentile(sorted, share) ?? worst;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), worst };
}

/** Nearest-rank percentiles, so that each figure was really measured; `undefined` without measurements. */
export function summarise(values: readonly number[]): Summary | undefined {
  const sorted = [...values].sort((left, right) => left - right);
  const p50 = percentile(sorted, 0.5);
  const p95 = percentile(sorted, 0.95);
  const worst = sorted.at(-1);
  if (p50 === undefined || p95 === undefined || worst === undefined) return undefined;
  return { count: sorted.length, p50, p95, worst };
}
