/** A store that runs but does not serve, as after an operator's mistake or on a bad network. */
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

/** Strikes the store until every edge has noticed and the time is up; then heals it and waits until the edges serve again. */
function strikingStore(strike: (redis: Redis) => Promise<Heal>): Attack['strike'] {
  return async (world, isOver) =>
    // The connection stays open, because new ones may be refused.
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
    description: 'sets Redis’ maxmemory to one byte',
    allowedAnswers: STRUCK,
    strike: strikingStore(setting('maxmemory', '1', '0')),
  },
  {
    name: 'a store without enough replicas',
    world: 'plain',
    description: 'makes Redis require one replica more than there are',
    allowedAnswers: STRUCK,
    strike: strikingStore(setting('min-replicas-to-write', '1', '0')),
  },
  {
    name: 'a store that becomes another one’s replica',
    world: 'plain',
    description: 'makes Redis the replica of an empty server, so that it loses everything and refuses writes',
    allowedAnswers: STRUCK,
    strike: strikingStore(takeForPrimary),
  },
  {
    name: 'a store whose password changes',
    world: 'plain',
    description: 'gives Redis an unknown password, and ends all connections',
    allowedAnswers: STRUCK,
    strike: strikingStore(changePassword),
  },
  {
    name: 'lost answers of the store',
    world: 'relayed',
    description:
      'forwards the edges’ commands, and loses Redis’ answers on every open connection, again and again',
    allowedAnswers: ['lost'],
    strike: async (world, isOver) => {
      do {
        world.relay.lose('answers');
        await until(
          'every dead connection to be closed',
          () => world.relay.heldOnTo,
          (held) => held === 0,
        );
      } while (!isOver());
      await untilEdges(world, 'edges to serve again', 200);
      return ['lost'];
    },
  },
];
