import { percentile } from '@plenary/loadtest/pages';
import { z } from 'zod';
import type { Noticed } from '../meeting.ts';

const SPREAD = z.object({ p50: z.number(), p99: z.number() });
const NOTICED = z.object({ picture: SPREAD, sound: SPREAD, buttons: SPREAD });

/** The measurements of one row, in whole milliseconds. */
export const ROW_FIGURES = z.object({
  runs: z.int(),
  /** Runs in which the meeting did not recover. They have no figures. */
  failed: z.int(),
  /** The same figures just before the fault: the cost of a busy machine and of a frame's length. */
  calm: NOTICED.optional(),
  noticed: NOTICED.optional(),
});
export type RowFigures = z.infer<typeof ROW_FIGURES>;

/** The last run of each row. */
export const LAST_RUN = z.object({
  takenAt: z.string(),
  machine: z.string(),
  rows: z.record(z.string(), ROW_FIGURES),
});
export type LastRun = z.infer<typeof LAST_RUN>;

export interface Run {
  readonly calm: Noticed;
  readonly noticed: Noticed;
}

/** Nearest-rank percentiles, so that each figure was really measured. */
export function summariseRow(runs: readonly Run[], failed: number): RowFigures {
  if (runs.length === 0) return { runs: failed, failed };
  return {
    runs: runs.length + failed,
    failed,
    calm: spreadsOf(runs.map(({ calm }) => calm)),
    noticed: spreadsOf(runs.map(({ noticed }) => noticed)),
  };
}

function spreadsOf(all: readonly Noticed[]): z.infer<typeof NOTICED> {
  const spread = (pick: (noticed: Noticed) => number) => {
    const sorted = all.map(pick).sort((left, right) => left - right);
    return {
      p50: Math.round(percentile(sorted, 0.5) ?? 0),
      p99: Math.round(percentile(sorted, 0.99) ?? 0),
    };
  };
  return {
    picture: spread(({ picture }) => picture),
    sound: spread(({ sound }) => sound),
    buttons: spread(({ buttons }) => buttons),
  };
}
