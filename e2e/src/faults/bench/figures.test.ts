import { describe, expect, it } from 'vitest';
import { summariseRow } from './figures.ts';

const noticed = (ms: number) => ({ picture: ms, sound: ms + 0.4, buttons: 2 * ms });

describe('summariseRow', () => {
  it('gives measured percentiles, in whole milliseconds', () => {
    const runs = [30, 10, 20].map((ms) => ({ calm: noticed(1), noticed: noticed(ms) }));
    expect(summariseRow(runs, 0)).toEqual({
      runs: 3,
      failed: 0,
      calm: { picture: { p50: 1, p99: 1 }, sound: { p50: 1, p99: 1 }, buttons: { p50: 2, p99: 2 } },
      noticed: { picture: { p50: 20, p99: 30 }, sound: { p50: 20, p99: 30 }, buttons: { p50: 40, p99: 60 } },
    });
  });

  it('counts failed runs, and gives no figures for them', () => {
    expect(summariseRow([], 2)).toEqual({ runs: 2, failed: 2 });
    expect(summariseRow([{ calm: noticed(1), noticed: noticed(5) }], 1)).toMatchObject({
      runs: 2,
      failed: 1,
    });
  });
});
