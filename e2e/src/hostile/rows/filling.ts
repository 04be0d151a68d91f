/** Those who fill what is kept: the chat and the log of a room. */
import { MAX_CHAT_BYTES, MAX_EVENT_LOG_BYTES } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';

const ROOM = 'filled';
/** What Redis takes for keys, fields and nodes beside what is kept. */
const OVERHEAD = 4;
const POSTERS = 10;

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
  does: 'posts the longest messages that there may be, in the widest letters, by ten people, and looks at what the store keeps',
  gets: ['ok', 'rate_limited', 'flooding', 'closed'],
  strike: async (world, isOver) => {
    const text = '\u{1f4a3}'.repeat(1_000);
    const answers = new Set<string>();
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
    for (const stranger of strangers) await stranger.leave();
    return [...answers];
  },
};
