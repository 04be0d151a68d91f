/** An attacker who can write to Redis can republish an edge's messages (SECURITY, "Whoever can write to Redis"). */
import type { Redis } from 'ioredis';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { RawClient } from '../raw-client.ts';
import { Stranger } from '../stranger.ts';
import { withRedis } from '../with-redis.ts';

/** The channel over which edges send each other messages. */
async function edgesChannel(redis: Redis): Promise<string> {
  const channel = (await redis.pubsub('SHARDCHANNELS')).map(String).find((name) => name.endsWith('#/#'));
  if (channel === undefined) throw new Error('The channel of the edges was not found.');
  return channel;
}

export const RECORDED: Attack = {
  name: 'an edge’s message about a session, repeated',
  world: 'plain',
  description:
    'records the message that another edge resumed its own session, comes back, and publishes it again and again',
  // The message belongs to an earlier hold of the session, so it ends nothing (SPEC NS6).
  allowedAnswers: ['ok', 'resumed: ok'],
  strike: (world, isOver) =>
    withRedis(world, async (redis) => {
      const other = world.cluster.edges.find((edge) => edge !== world.target);
      if (other === undefined) throw new Error('The cluster has no other edge.');
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
          'the other edge to announce the resumed session',
          () => heard.find((message) => message.includes('sessions.attached') && message.includes(peerId)),
          (message) => message !== undefined,
        );
        answers.push(await resumeAt(world.target.publicUrl));
        const told = await repeatUntil(isOver, async () => {
          const heardBefore = heard.length;
          await redis.spublish(channel, recorded ?? '');
          // The listener subscribes to the same channel as the edges.
          await until(
            'the repeated message to arrive',
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
