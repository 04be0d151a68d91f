import { expect, it } from 'vitest';
import { measurePlacements } from './placements.ts';

it.each([
  ['as fast as they are answered', {}],
  ['evenly', { perSecond: 200 }],
])('placements are measured, %s', async (name, pace) => {
  const load = { name, processes: 2, inFlight: 4, readsRoom: true, ...pace };
  const figures = await measurePlacements(load, 300);
  expect(figures.placements).toBeGreaterThan(0);
  // Those that are under way while a machine stands still are not answered in time.
  expect(figures.failed).toBeLessThanOrEqual(load.processes * load.inFlight);
  expect(figures.worstMs).toBeGreaterThanOrEqual(figures.p50Ms ?? Number.POSITIVE_INFINITY);
});
