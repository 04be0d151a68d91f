import { percentile } from '../bench-join/statistics.ts';

/** The spread of measurements: nearest-rank percentiles, in the measurements' unit. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly worst: number;
}

/** `null` without measurements. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((left, right) => left - right);
  const worst = sorted.at(-1);
  if (worst === undefined) return null;
  const at = (share: number): number => percentile(sorted, share) ?? worst;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), worst };
}
