/** Another cluster's edge on the same store (SECURITY, "Whoever can write to Redis"). */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { HandshakeRefused, RawClient } from '../raw-client.ts';
import { joinPayload } from '../stranger.ts';

const READINESS = z.object({ reasons: z.array(z.string()), controlLinks: z.array(z.string()).optional() });

/** The reasons why an edge is not ready; empty while it does not listen yet. */
async function reasonsOf(operatorUrl: string): Promise<Answers> {
  const response = await fetch(`${operatorUrl}/ready`).catch(() => undefined);
  if (response === undefined) return [];
  const { reasons, controlLinks = [] } = READINESS.parse(await response.json());
  return [...reasons, ...controlLinks];
}

async function strike(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  const { apiKey, apiSecret, redisUrl } = world.cluster;
  const foreign = await startLocalCluster({
    edges: 1,
    mediaNodes: 0,
    web: false,
    datacenters: ['foreign'],
    redisUrl,
    readyTimeoutMs: 90_000,
    // The edge has everything of this cluster but its secret.
    edge: () => ({ isAwaited: false, env: { PLENARY_API_KEYS: `${apiKey}:${apiSecret}` } }),
  });
  try {
    const [edge] = foreign.edges;
    if (edge === undefined) throw new Error('The foreign cluster has no edge.');
    const reasons = await until(
      'the edge to report why no media node trusts it',
      () => reasonsOf(edge.operatorUrl),
      (found) => found.includes('other_secret'),
    );
    const joins = await repeatUntil(isOver, async () => {
      const client = await RawClient.open(edge.publicUrl).catch((fault: unknown) => {
        if (fault instanceof HandshakeRefused) return fault.message;
        throw fault;
      });
      if (typeof client === 'string') return client;
      try {
        await client.enter();
        return await client.ask('join', await joinPayload(world));
      } finally {
        await client.close();
      }
    });
    return [...reasons, ...joins];
  } finally {
    await foreign.stop();
  }
}

export const OTHER_SECRET: Attack = {
  name: 'an edge with another secret',
  world: 'plain',
  description:
    'runs an edge with another cluster secret on the meeting’s store, and has people of the meeting’s application join there',
  allowedAnswers: ['no_control_link', 'other_secret', 'refused 403'],
  strike,
};
