/** Two edges, of which one has another cluster secret than everybody else: nobody who comes may notice. */
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
      'the edge to say that it can use no media node',
      async () => READINESS.parse(await (await fetch(`${useless.operatorUrl}/ready`)).json()).reasons,
      (reasons) => reasons.includes('no_control_link'),
    );
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it('[HL22] is left by the page that it served: people join on another edge, and see and hear each other', async () => {
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

  it('[HL22] is given nobody by Caddy with the checks of its example: of 20 joins 20 succeed', async () => {
    const edges = `${dial(useless)} ${dial(good)}`;
    const caddy = await startCaddy('Caddyfile.ha.example', caddyPort, {
      PLENARY_NEAR_EDGES: edges,
      PLENARY_ALL_EDGES: edges,
    });
    const visitor = new Visitor(caddyPort, caddy.ca, cluster);
    const askedOfUseless = async (): Promise<number> =>
      (await readMetrics(useless.operatorUrl)).get('plenary_edge_joins_total') ?? 0;
    const before = await askedOfUseless();
    try {
      const joined: string[] = [];
      for (let index = 0; index < 20; index += 1) {
        joined.push((await visitor.joinedEdge(`room-${index % 4}`)).edgeId);
      }
      expect(joined).toEqual(Array.from({ length: 20 }, () => good.id));
      // Also none that it refused, and that was let in by the other one then.
      expect(await askedOfUseless()).toBe(before);
    } finally {
      visitor.leave();
      await caddy.proxy.stop();
    }
  });
});
