/** A process that drains: people notice nothing. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from './harness/browser.ts';
import { drain, undrain } from './harness/drain.ts';
import { isNothing, leftOver } from './harness/left-over.ts';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';
import { startWatching, stopWatching } from './harness/watch.ts';

describe('a running meeting', () => {
  let cluster: LocalCluster;
  let browser: Browser;

  beforeAll(async () => {
    // Nobody is packed: two people are on two nodes.
    cluster = await startLocalCluster({
      mediaNodes: 3,
      workers: 1,
      readyTimeoutMs: 180_000,
      datacenters: ['gra'],
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({ env: { PLENARY_PACKING_LIMIT: '0', PLENARY_ROOM_PEERS_PER_NODE: '1' } }),
    });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await cluster.stop();
  });

  async function open(roomId: string, name: string, edge = 0): Promise<Participant> {
    return Participant.open(browser, cluster.edges[edge]?.publicUrl ?? '', roomId, name);
  }

  async function nodeOf(person: Participant): Promise<RunningMediaNode> {
    const nodeId = await person.mediaNodeId();
    const node = cluster.mediaNodes.find(({ id }) => id === nodeId);
    if (node === undefined) throw new Error(`${person.name} is on no node`);
    return node;
  }

  const lostMedia = async (): Promise<number> => {
    const readings = await Promise.all(cluster.edges.map(({ url }) => readMetrics(url)));
    return readings.reduce((sum, reading) => sum + (reading.get('plenary_edge_media_lost_total') ?? 0), 0);
  };

  it('[DR3] [DR4] goes on while the media node of one of its people is drained', async () => {
    const [ann, bob] = [await open('drain', 'Ann'), await open('drain', 'Bob', 1)];
    await ann.join();
    await bob.join();
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    const [before, others] = [await nodeOf(ann), await nodeOf(bob)];
    expect(before.id).not.toBe(others.id);
    await Promise.all([startWatching(ann.page, 'Bob'), startWatching(bob.page, 'Ann')]);

    expect(await drain(before, cluster.adminToken)).toMatchObject({ left: 0, gone: 1, cut: 0 });
    const after = await nodeOf(ann);
    expect(after.id).not.toBe(before.id);
    expect((await nodeOf(bob)).id).toBe(others.id);
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);

    for (const person of [ann, bob]) {
      const watched = await stopWatching(person.page);
      console.log(
        `${person.name} saw no frame for ${watched.longestGapMs.toFixed(0)} ms at most, of ${watched.frames}`,
      );
      expect(watched).toMatchObject({ rosterSizes: [2], mediaStates: ['connected'], sameElements: true });
      expect(person.errors).toEqual([]);
    }
    expect(await lostMedia()).toBe(0);
    const left = await readMetrics(before.url);
    for (const what of ['peers', 'routers', 'transports', 'producers', 'consumers', 'pipes']) {
      await until(
        `the drained node has no ${what}`,
        async () => (await readMetrics(before.url)).get(`plenary_media_${what}`),
        (count) => count === 0,
      );
    }
    expect(left.get('plenary_media_peers')).toBe(0);
    await undrain(before, cluster.adminToken);
    await Promise.all([ann.leave(), bob.leave()]);
    await until('everything is freed', () => leftOver(cluster), isNothing, 60_000);
    await Promise.all([ann.close(), bob.close()]);
  });
});
