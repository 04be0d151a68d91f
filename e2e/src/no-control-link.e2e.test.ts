/** Two edges, one of which has a wrong cluster secret and so no media node: people who join may not notice. */
import { freePort } from '@plenary/cluster/testing/ports';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { startCaddy } from './harness/proxy.ts';
import { until } from './harness/until.ts';
import { Visitor } from './harness/visitor.ts';

const READINESS = z.object({ reasons: z.array(z.string()) });

/** The address of an edge as Caddy dials it. */
const dial = (edge: RunningEdge): string => new URL(edge.url).host;

describe('an edge that can use no media node', () => {
  let cluster: LocalCluster;
  let caddyPort: number;
  let useless: RunningEdge;
  let good: RunningEdge;

  beforeAll(async () => {
    caddyPort = await freePort();
    cluster = await startLocalCluster({
      edges: 2,
      mediaNodes: 1,
      datacenters: ['gra'],
      edge: (index) =>
        index === 0
          ? {
              isAwaited: false,
              env: { PLENARY_CLUSTER_SECRET: 'another secret than everybody else has' },
            }
          : {},
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    const [one, two] = cluster.edges;
    if (one === undefined || two === undefined) throw new Error('the cluster has two edges');
    [useless, good] = [one, two];
    await until(
      'the edge to report that it can use no media node',
      async () => READINESS.parse(await (await fetch(`${useless.operatorUrl}/ready`)).json()).reasons,
      (reasons) => reasons.includes('no_control_link'),
    );
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it('[HL22] serves a page that joins on another edge, where people see and hear each other', async () => {
    const browser = await launchChromium();
    try {
      const ann = await Participant.open(browser, useless.publicUrl, 'elsewhere', 'Ann');
      const bob = await Participant.open(browser, useless.publicUrl, 'elsewhere', 'Bob');
      await Promise.all([ann.join(), bob.join()]);
      await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
      for (const person of [ann, bob]) {
        expect(await person.page.evaluate(() => globalThis.plenary?.getSnapshot().edgeId)).toBe(good.id);
        await person.close();
      }
    } finally {
      await browser.close();
    }
  });

  it('[HL22] gets no join from Caddy with its example’s health checks: of 20 joins 20 succeed elsewhere', async () => {
    const edges = `${dial(useless)} ${dial(good)}`;
    const caddy = await startCaddy('Caddyfile.ha.example', caddyPort, {
      PLENARY_NEAR_EDGES: edges,
      PLENARY_ALL_EDGES: edges,
    });
    const visitor = new Visitor(caddyPort, caddy.ca, cluster);
    const joinsAtUselessEdge = async (): Promise<number> =>
      (await readMetrics(useless.operatorUrl)).get('plenary_edge_joins_total') ?? 0;
    const before = await joinsAtUselessEdge();
    try {
      const joined: string[] = [];
      for (let index = 0; index < 20; index += 1) {
        joined.push((await visitor.joinedEdge(`room-${index % 4}`)).edgeId);
      }
      expect(joined).toEqual(Array.from({ length: 20 }, () => good.id));
      // The useless edge did not even refuse a join that the other edge then accepted.
      expect(await joinsAtUselessEdge()).toBe(before);
    } finally {
      visitor.leave();
      await caddy.proxy.stop();
    }
  });
});
