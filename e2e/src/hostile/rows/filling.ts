/** Attackers who fill what is kept of a room: its chat and its log. */
import { MAX_CHAT_BYTES, MAX_EVENT_LOG_BYTES } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { readMetrics } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';

const ROOM = 'filled';
/** How many times its content Redis needs, with keys, fields and nodes. */
const REDIS_OVERHEAD = 4;
const POSTERS = 10;
const MIB = 1_048_576;
/** How much an edge's heap may have grown after the posters have left: uncollected garbage and compiled code. */
const MORE_HEAP = 48 * MIB;
/** How much its whole process may have grown at the end of the flood, with the queues of ten connections (4 MiB each) and V8's reserves. */
const MORE_MEMORY = 256 * MIB;

interface EdgeMemory {
  /** The JavaScript heap, and buffers outside it. */
  readonly heap: number;
  readonly resident: number;
}

/** The memory of each edge. */
const edgeMemory = (world: HostileWorld): Promise<EdgeMemory[]> =>
  Promise.all(
    world.cluster.edges.map(async ({ operatorUrl }) => {
      const readings = await readMetrics(operatorUrl);
      const of = (metric: string): number => readings.get(metric) ?? Number.NaN;
      return {
        heap: of('nodejs_heap_size_used_bytes') + of('nodejs_external_memory_bytes'),
        resident: of('process_resident_memory_bytes'),
      };
    }),
  );

/** How many bytes Redis holds of the room. */
const bytesKept = (world: HostileWorld): Promise<number> =>
  withRedis(world, async (redis) => {
    let sum = 0;
    for (const key of await redis.keys(`*${ROOM}*`))
      sum += (await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0;
    return sum;
  });

export const FILLING: Attack = {
  name: 'chat of the largest size',
  world: 'plain',
  description:
    'has ten people post the longest messages in the widest letters, and measures what the store and the edges keep',
  allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed'],
  strike: async (world, isOver) => {
    const text = '\u{1f4a3}'.repeat(1_000);
    const answers = new Set<string>();
    const before = await edgeMemory(world);
    const strangers = await Promise.all(
      Array.from({ length: POSTERS }, () => Stranger.join(world, { roomId: ROOM })),
    );
    await Promise.all(
      strangers.map(async (stranger, index) => {
        let count = 0;
        const told = await repeatUntil(isOver, async () => {
          if (stranger.client.isClosed) return 'closed';
          count += 1;
          return stranger.ask('chat.post', { requestId: `c-${index}-${count}`, text });
        });
        for (const answer of told) answers.add(answer);
      }),
    );
    const kept = await bytesKept(world);
    if (kept > REDIS_OVERHEAD * (MAX_CHAT_BYTES + MAX_EVENT_LOG_BYTES))
      answers.add(`the store keeps ${kept} bytes`);
    for (const [index, { resident }] of (await edgeMemory(world)).entries()) {
      const more = resident - (before[index]?.resident ?? 0);
      if (!(more <= MORE_MEMORY)) answers.add(`an edge takes ${Math.round(more / MIB)} MiB more`);
    }
    for (const stranger of strangers) await stranger.leave();
    await until(
      'the memory of the edges to return',
      () => edgeMemory(world),
      (now) => now.every(({ heap }, index) => heap <= (before[index]?.heap ?? 0) + MORE_HEAP),
    );
    return [...answers];
  },
};
