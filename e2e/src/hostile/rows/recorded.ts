/** What an edge published may be published again by whoever can write to Redis (SECURITY, "Whoever can write to Redis"). */
import type { Redis } from 'ioredis';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';
import { RawClient } from '../raw-client.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';

/** By which edges hear of each other. */
async function edgesChannel(redis: Redis): Promise<string> {
  const channel = (await redis.pubsub('SHARDCHANNELS')).map(String).find((name) => name.endsWith('#/#'));
  if (channel === undefined) throw new Error('where do edges speak with each other?');
  return channel;
}

export const RECORDED: Attack = {
  name: 'what an edge said of a session, repeated',
  world: 'plain',
  does: 'records that another edge took its own session up, comes back, and publishes that again and again',
  // The message is true of an earlier hold of the session alone, so that it ends nothing (SPEC NS6).
  gets: ['ok', 'resumed: ok'],
  strike: (world, isOver) =>
    withRedis(world, async (redis) => {
      const other = world.cluster.edges.find((edge) => edge !== world.target);
      if (other === undefined) throw new Error('there is another edge');
      const channel = await edgesChannel(redis);
      const listener = redis.duplicate();
      const heard: Buffer[] = [];
      listener.on('smessageBuffer', (_channel: Buffer, message: Buffer) => heard.push(message));
      try {
        await listener.ssubscribe(channel);
        const stranger = await Stranger.join(world, { roomId: 'recorded' });
        const { peerId } = stranger.joined.session;
        let { client } = stranger;
        let { sessionToken } = stranger.joined.session;
        const resumeAt = async (edgeUrl: string): Promise<string> => {
          const before = client;
          client = await RawClient.open(edgeUrl, { localAddress: world.nextAddress() });
          await client.enter();
          const resumed = await stranger.resumeOn(client, sessionToken);
          ({ sessionToken } = resumed);
          before.terminate();
          return `resumed: ${resumed.outcome}`;
        };
        const answers = [await resumeAt(other.publicUrl)];
        const recorded = await until(
          'the other edge to tell of it',
          () => heard.find((message) => message.includes('sessions.attached') && message.includes(peerId)),
          (message) => message !== undefined,
        );
        answers.push(await resumeAt(world.target.publicUrl));
        const told = await over(isOver, async () => {
          const heardBefore = heard.length;
          await redis.spublish(channel, recorded ?? '');
          // We listen on the same channel as the edges do.
          await until(
            'the repeated message to be heard',
            () => heard.length,
            (count) => count > heardBefore,
          );
          return client.ask('edge.check', {});
        });
        await client.ask('leave', {});
        await client.close();
        return [...new Set([...answers, ...told])];
      } finally {
        listener.disconnect();
      }
    }),
};
