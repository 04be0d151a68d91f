import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';
import { mediaNodesKey } from './inside.ts';

/** Records that fit the schemas, few enough that processes read all of them. */
export const FORGED_NODES: Attack = {
  name: 'nine hundred forged media nodes',
  world: 'plain',
  description:
    'announces them as idle nodes of the meeting’s datacenters, at addresses with no listener or a foreign one',
  allowedAnswers: ['written'],
  strike: (world, isOver) =>
    withRedis(world, async (redis) => {
      const registry = await mediaNodesKey(redis);
      const [real = ''] = await redis.hvals(registry);
      const record = z.looseObject({}).parse(JSON.parse(real.replace(/^\d+\|[^|]+\|/, '')));
      const forged = Array.from({ length: 900 }, (_, index) => {
        const mediaNodeId = `a-mallory-${index}`;
        const controlUrl = index % 2 === 0 ? `http://127.0.0.1:${1 + (index % 9)}` : world.target.publicUrl;
        const incarnation = randomUUID();
        const said = JSON.stringify({ ...record, mediaNodeId, incarnation, controlUrl, peerCount: 0 });
        return [mediaNodeId, `9999999999999|${incarnation}|${said}`] as const;
      });
      await redis.hset(registry, new Map(forged));
      try {
        await until('the time to be up', isOver, Boolean);
        // New people are placed on a node that exists.
        await (await Stranger.join(world)).leave();
      } finally {
        await redis.hdel(registry, ...forged.map(([id]) => id));
      }
      return ['written'];
    }),
};
