/** Another cluster's edge on the same store (SECURITY, "Whoever can write to Redis"). */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import { over } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { HandshakeRefused, RawClient } from '../raw-client.ts';
import { joinPayload } from '../stranger.ts';

const READINESS = z.object({ reasons: z.array(z.string()), controlLinks: z.array(z.string()).optional() });

/** Why an edge is not ready; nothing while it does not listen yet. */
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
    // It has everything of this cluster but its secret, which is another one's.
    edge: () => ({ isAwaited: false, env: { PLENARY_API_KEYS: `${apiKey}:${apiSecret}` } }),
  });
  try {
    const [edge] = foreign.edges;
    if (edge === undefined) throw new Error('it has an edge');
    const reasons = await until(
      'the edge to know why no media node believes it',
      () => reasonsOf(edge.operatorUrl),
      (found) => found.includes('other_secret'),
    );
    const joins = await over(isOver, async () => {
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
  name: 'an edge of another secret',
  world: 'plain',
  does: 'runs an edge with another cluster secret on the store of the meeting, and has people of the meeting’s application join there',
  gets: ['no_control_link', 'other_secret', 'refused 403'],
  strike,
};
