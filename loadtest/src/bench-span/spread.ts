import { percentilesOf, type Percentiles } from '../bench-join/statistics.ts';

/** The spread of measurements. */
export interface Spread extends Percentiles {
  readonly count: number;
}

/** `null` without measurements. */
export function spreadOf(values: readonly number[]): Spread | null {
  const percentiles = percentilesOf(values);
  return percentiles === null ? null : { count: values.length, ...percentiles };
}
