import { whyNoDatacenters } from '@plenary/deploy/local-cluster';
import { afterAll, expect, it } from 'vitest';
import { endMediaLinks } from '../bots/bot-transport.ts';
import { measureHop } from './hop.ts';
import { measureLinks } from './links.ts';
import { measurePipeCpu } from './pipe-cpu.ts';

afterAll(endMediaLinks);

it('follows packets to a near viewer and to one behind a pipe', async () => {
  const { oneNode, twoNodes, added } = await measureHop(50);
  expect(added?.count).toBeGreaterThanOrEqual(25);
  expect(oneNode?.count).toBe(twoNodes?.count);
  expect(twoNodes?.worst).toBeGreaterThan(0);
});

it('measures the cost of piping at either end', async () => {
  const { windows } = await measurePipeCpu(500);
  expect(windows.nobody.megabits).toBe(0);
  expect(windows.onHome.megabits).toBeGreaterThan(0);
  expect(windows.onOther.megabits).toBeGreaterThan(0);
  expect(windows.onOther.homeCpuMs).toBeGreaterThan(0);
  expect(windows.onOther.otherCpuMs).toBeGreaterThan(0);
});

const fault = await whyNoDatacenters();
const why = fault === undefined ? '' : ` – skipped: ${fault}`;
it.skipIf(fault !== undefined)(`measures between datacenters${why}`, async () => {
  const { firstMedia, quiet } = await measureLinks({ firstMedia: 1, quiet: 1 }, () => undefined);
  expect(firstMedia).toMatchObject({ audio: { count: 1 }, video: { count: 1 } });
  expect(quiet).toMatchObject({ pauses: { count: 1 }, unsubscribes: { count: 1 }, leaves: { count: 1 } });
});
