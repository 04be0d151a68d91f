import { expect, it } from 'vitest';
import { measurePlacements } from './placements.ts';

it.each([
  ['as fast as they are answered', {}],
  ['evenly', { perSecond: 200 }],
])('placements are measured, %s', async (name, pace) => {
  const load = { name, processes: 2, inFlight: 4, readsRoom: true, ...pace };
  const figures = await measurePlacements(load, 300);
  expect(figures.placements).toBeGreaterThan(0);
  // Placements that are pending while the machine stands still are answered late.
  expect(figures.failed).toBeLessThanOrEqual(load.processes * load.inFlight);
  expect(figures.worstMs).toBeGreaterThanOrEqual(figures.p50Ms ?? Number.POSITIVE_INFINITY);
});
