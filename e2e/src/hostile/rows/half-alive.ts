/** A store that is there and does not serve: what a tired operator, or a tired network, does to it. */
import type { Redis } from 'ioredis';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { withRedis } from '../with-redis.ts';

const STRUCK: Answers = ['struck', 'healed'];

type Heal = () => Promise<unknown>;

async function untilEdges(world: HostileWorld, what: string, status: number): Promise<void> {
  await until(
    what,
    () =>
      Promise.all(
        world.cluster.edges.map(async ({ operatorUrl }) => (await fetch(`${operatorUrl}/ready`)).status),
      ),
    (statuses) => statuses.every((one) => one === status),
  );
}

/** Strikes the store until every edge has noticed and the time is up; then heals it, and waits until they serve again. */
function strikingStore(strike: (redis: Redis) => Promise<Heal>): Attack['strike'] {
  return async (world, isOver) =>
    // One connection stays, since new ones may be refused.
    withRedis(world, async (redis) => {
      const heal = await strike(redis);
      try {
        await untilEdges(world, 'edges to notice', 503);
        await until('the time to be up', isOver, (over) => over);
      } finally {
        await heal();
      }
      await untilEdges(world, 'edges to serve again', 200);
      return STRUCK;
    });
}

async function takeForPrimary(redis: Redis): Promise<Heal> {
  const other = await startRedisServer();
  await redis.replicaof('127.0.0.1', other.port);
  return async () => {
    await redis.replicaof('NO', 'ONE');
    await other.stop();
  };
}

async function changePassword(redis: Redis): Promise<Heal> {
  await redis.config('SET', 'requirepass', 'a password that nobody was told');
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal');
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  return () => redis.config('SET', 'requirepass', '');
}

const setting =
  (name: string, bad: string, good: string) =>
  async (redis: Redis): Promise<Heal> => {
    await redis.config('SET', name, bad);
    return () => redis.config('SET', name, good);
  };

export const HALF_ALIVE: readonly Attack[] = [
  {
    name: 'a store whose memory is full',
    world: 'plain',
    does: 'sets Redis’ maxmemory to one byte',
    gets: STRUCK,
    strike: strikingStore(setting('maxmemory', '1', '0')),
  },
  {
    name: 'a store without enough replicas',
    world: 'plain',
    does: 'has Redis want one replica more than there are',
    gets: STRUCK,
    strike: strikingStore(setting('min-replicas-to-write', '1', '0')),
  },
  {
    name: 'a store that takes another one for its primary',
    world: 'plain',
    does: 'makes Redis the replica of an empty one, so that it loses all it has and refuses writes',
    gets: STRUCK,
    strike: strikingStore(takeForPrimary),
  },
  {
    name: 'a store whose password changes',
    world: 'plain',
    does: 'gives Redis a password that nobody was told, and ends all connections',
    gets: STRUCK,
    strike: strikingStore(changePassword),
  },
  {
    name: 'answers of the store that do not come',
    world: 'relayed',
    does: 'lets edges’ commands pass, and loses what Redis answers on every connection that stands, again and again',
    gets: ['lost'],
    strike: async (world, isOver) => {
      do {
        world.relay.lose('answers');
        await until(
          'every dead connection to be given up',
          () => world.relay.heldOnTo,
          (held) => held === 0,
        );
      } while (!isOver());
      await untilEdges(world, 'edges to serve again', 200);
      return ['lost'];
    },
  },
];
