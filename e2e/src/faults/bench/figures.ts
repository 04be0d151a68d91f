import { percentile } from '@plenary/loadtest/pages';
import { z } from 'zod';
import type { Noticed } from '../meeting.ts';

const SPREAD = z.object({ p50: z.number(), p99: z.number() });
const NOTICED = z.object({ picture: SPREAD, sound: SPREAD, buttons: SPREAD });

/** What was measured of one row, in whole milliseconds. */
export const ROW_FIGURES = z.object({
  runs: z.int(),
  /** Runs after which somebody or something was not as it should be. They have no figures. */
  failed: z.int(),
  /** Of the same people just before, when nothing was wrong: what a busy machine and a frame's own length cost. */
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

/** Nearest-rank percentiles: each figure is one that was really measured. */
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
