/** What becomes of an edge whose log cannot be written. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FULL_DISK, fillPipe } from '@plenary/cluster/testing/full-outputs';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import type { TestRedis } from '@plenary/cluster/testing/redis-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EdgeProcess } from './testing/edge-process.ts';
import { waitFor } from './testing/wait-for.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis.stop();
});

describe('an edge whose log cannot be written', () => {
  it('[LC7] [LC17] serves while the disk is full, counts the lost lines, and ends at SIGTERM', async () => {
    const edge = await EdgeProcess.start({ id: 'full', redisUrl: redis.url, outputPath: FULL_DISK });
    await waitFor(
      'lost lines to be counted',
      async () => (await edge.metric('plenary_edge_lost_log_lines_total')) > 0,
    );
    expect(await edge.metric('plenary_edge_entry_faults_total')).toBe(0);
    edge.kill('SIGTERM');
    expect(await edge.exited()).toBe(0);
  });

  it('[LC7] serves and ends while its output is a pipe that is full and that nobody reads', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plenary-log-'));
    const close = fillPipe(join(folder, 'pipe'));
    const edge = await EdgeProcess.start({
      id: 'unread',
      redisUrl: redis.url,
      outputPath: join(folder, 'pipe'),
    });
    edge.kill('SIGTERM');
    expect(await edge.exited()).toBe(0);
    close();
    await rm(folder, { recursive: true });
  });
});
