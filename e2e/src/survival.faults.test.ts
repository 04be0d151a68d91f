/** A meeting survives the death of an edge and of a worker. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { isNothing, leftOver } from './harness/left-over.ts';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { until } from './harness/until.ts';

describe('a running meeting', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  let ann: Participant;
  let bob: Participant;

  beforeAll(async () => {
    cluster = await startLocalCluster({ env: { PLENARY_LOG_LEVEL: 'warn' } });
    browser = await launchChromium();
  });
  afterEach(async () => {
    await Promise.all([ann.close(), bob.close()]);
    await until('everything is freed', () => leftOver(cluster), isNothing, 60_000);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.stop();
  });

  async function meet(roomId: string): Promise<void> {
    const [here, there] = cluster.edges;
    if (here === undefined || there === undefined) throw new Error('the cluster has two edges');
    ann = await Participant.open(browser, here.publicUrl, roomId, 'Ann');
    bob = await Participant.open(browser, there.publicUrl, roomId, 'Bob');
    await ann.join();
    await bob.join();
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
  }

  it('[SE27] continues when an edge is killed: its clients resume on the other edge, with the same media session', async () => {
    await meet('edge-death');
    const [, there] = cluster.edges;
    const nodeBefore = await bob.mediaNodeId();
    const transportsBefore = (await leftOver(cluster)).media['plenary_media_transports'];
    await there?.kill('SIGKILL');
    await until(
      'Bob is on the other edge',
      () => bob.page.evaluate(() => globalThis.plenary?.getSnapshot()),
      (now) => now?.connection.phase === 'joined' && now.edgeId === cluster.edges[0]?.id,
    );
    expect(await bob.mediaNodeId()).toBe(nodeBefore);
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    await ann.untilOthersAre(['Bob']);
    let transports = 0;
    for (const node of cluster.mediaNodes) {
      transports += (await readMetrics(node.operatorUrl)).get('plenary_media_transports') ?? 0;
    }
    expect(transports).toBe(transportsBefore);
    await there?.restart();
    await Promise.all([ann.leave(), bob.leave()]);
  });

  it('[WK1] [WK18] continues when a worker is killed: the node replaces it, and its peers open new media sessions', async () => {
    await meet('worker-death');
    const nodeId = await ann.mediaNodeId();
    const node = cluster.mediaNodes.find(({ id }) => id === nodeId);
    if (node?.pid === undefined || node.pid === null) throw new Error('Ann’s media node does not run.');
    const workers = childrenOf(node.pid);
    expect(workers.length).toBeGreaterThan(0);
    for (const worker of workers) process.kill(worker, 'SIGKILL');
    await until(
      'the node has as many workers as before',
      async () => (await readMetrics(node.operatorUrl)).get('plenary_media_workers'),
      (count) => count === workers.length,
    );
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);
    await Promise.all([ann.leave(), bob.leave()]);
  });
});
