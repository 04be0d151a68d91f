/** Those who fill what is kept: the chat and the log of a room. */
import { MAX_CHAT_BYTES, MAX_EVENT_LOG_BYTES } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';
import { readMetrics } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';

const ROOM = 'filled';
/** What Redis takes for keys, fields and nodes beside what is kept. */
const OVERHEAD = 4;
const POSTERS = 10;
const MIB = 1_048_576;
/** What an edge's heap may have more when the posters are gone: garbage that was not collected yet, and code that was compiled. */
const MORE_HEAP = 48 * MIB;
/** And its whole process at the end of the flood, with what waits for ten connections (4 MiB each) and what V8 keeps for later. */
const MORE_MEMORY = 256 * MIB;

interface EdgeMemory {
  /** Of JavaScript, and of buffers outside its heap. */
  readonly heap: number;
  readonly resident: number;
}

/** Of each edge. */
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

/** Bytes that Redis holds of the room. */
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
  does: 'posts the longest messages that there may be, in the widest letters, by ten people, and looks at what the store and the edges keep',
  gets: ['ok', 'rate_limited', 'flooding', 'closed'],
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
        const told = await over(isOver, async () => {
          if (stranger.client.isClosed) return 'closed';
          count += 1;
          return stranger.ask('chat.post', { requestId: `c-${index}-${count}`, text });
        });
        for (const answer of told) answers.add(answer);
      }),
    );
    const kept = await bytesKept(world);
    if (kept > OVERHEAD * (MAX_CHAT_BYTES + MAX_EVENT_LOG_BYTES))
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
