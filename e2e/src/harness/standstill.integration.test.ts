import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Disturbed, untilUndisturbed, watchingStandstill } from './standstill.ts';

const FROZEN_MS = 2_500;

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 0,
    web: false,
    logLevel: 'warn',
    edge: () => ({ isAwaited: false }),
  });
});
afterAll(() => cluster.stop());

const fault = new Error('somebody noticed something');

async function failWhile(signals: readonly NodeJS.Signals[]): Promise<never> {
  const [edge] = cluster.edges;
  for (const signal of signals) {
    await edge?.kill(signal);
    await delay(FROZEN_MS);
  }
  throw fault;
}

it('excuses what fails while a process stands still, as often as it is said to', async () => {
  let attempts = 0;
  const attempt = (): Promise<unknown> =>
    watchingStandstill(cluster, () => {
      attempts += 1;
      return attempts < 2 ? failWhile(['SIGSTOP', 'SIGCONT']) : Promise.resolve();
    });
  await untilUndisturbed(attempt);
  expect(attempts).toBe(2);
});

it('excuses nothing that is not to be excused, and nothing for ever', async () => {
  const frozen = () => failWhile(['SIGSTOP', 'SIGCONT']);
  await expect(watchingStandstill(cluster, frozen, () => false)).rejects.toBe(fault);
  await expect(untilUndisturbed(() => watchingStandstill(cluster, frozen))).rejects.toThrow(Disturbed);
  const calm = (): Promise<never> => Promise.reject(fault);
  await expect(untilUndisturbed(() => watchingStandstill(cluster, calm))).rejects.toBe(fault);
});
