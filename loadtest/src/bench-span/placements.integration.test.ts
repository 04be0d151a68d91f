import { waitFor } from '@plenary/cluster/testing/wait-for';
import { expect, it } from 'vitest';
import { measurePlacements } from './placements.ts';

it.each([
  ['as fast as they are answered', {}],
  ['evenly', { perSecond: 200 }],
])('placements are measured, %s', async (name, pace) => {
  const load = { name, processes: 2, inFlight: 4, readsRoom: true, ...pace };
  // A store that stands still for seconds, as on a busy machine, refuses what was under way.
  const figures = await waitFor('a measurement in which the store answers all', async () => {
    const measured = await measurePlacements(load, 300);
    return measured.failed === 0 && measured;
  });
  expect(figures.placements).toBeGreaterThan(0);
  expect(figures.worstMs).toBeGreaterThanOrEqual(figures.p50Ms ?? Number.POSITIVE_INFINITY);
});
