import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endMediaLinks } from '../bots/bot-transport.ts';
import { runBotsPhase } from './bots-phase.ts';
import { formatReport } from './report.ts';
import { describeMachine } from './machine.ts';

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ edges: 1, mediaNodes: 1, workers: 1, web: false, logLevel: 'warn' });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

it('has bots join, receive a publishing bot’s tracks and leave, and counts the cost', async () => {
  const result = await runBotsPhase(cluster, { bots: 3, roomSize: 3, concurrency: 2 });
  expect(result).toMatchObject({ joined: 3, gotMedia: 3, rooms: 2, errors: {}, problems: [] });
  expect(result.packets).toBeGreaterThanOrEqual(3);
  expect(result.steps.firstPacket?.count).toBe(3);
  expect(result.steps.dtlsConnected?.count).toBe(3);
  const calls = Object.values(result.mediasoupCallsPerJoin).reduce((sum, count) => sum + count, 0);
  // Two transports and two consumers at the least.
  expect(calls).toBeGreaterThanOrEqual(4);
  expect(Object.keys(result.redisCommandsPerJoin).length).toBeGreaterThan(0);
  const text = formatReport({
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    bots: result,
    browser: [],
    aims: [],
  });
  expect(text).toContain('3 of 3 joined 2 rooms, 3 got media');
});
