/** Attackers who reach the ports and the store behind the edges. */
import { createSocket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { MEETING_ROOM } from '../hostile-world.ts';
import { RawClient } from '../raw-client.ts';
import { RawTcp } from '../raw-http.ts';
import { withRedis } from '../with-redis.ts';

/** Every channel that has a subscriber. */
async function channels(redis: Redis): Promise<string[]> {
  const [plain, sharded] = await Promise.all([redis.pubsub('CHANNELS'), redis.pubsub('SHARDCHANNELS')]);
  return [...plain, ...sharded].map(String);
}

/** Publishes to every channel, as plain and as sharded message. */
async function publishEverywhere(redis: Redis, message: string | Buffer): Promise<void> {
  for (const channel of await channels(redis)) {
    await redis.publish(channel, message);
    await redis.spublish(channel, message);
  }
}

/** The key of the registry's media nodes. */
export async function mediaNodesKey(redis: Redis): Promise<string> {
  const [key] = (await redis.keys('*{registry}*media-nodes')).sort();
  if (key === undefined) throw new Error('The registry was not found.');
  return key;
}

const FORGED_MESSAGES: readonly (string | Buffer)[] = [
  'garbage',
  '{"broken',
  '[]',
  'null',
  '['.repeat(20_000),
  Buffer.from([0xff, 0x00, 0x81, 0xc1]),
  randomBytes(2_000),
  // Message types of Socket.IO's adapters: 4 and 5 join and leave rooms, 6 ends connections, 9 is an edge's own message.
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 99].map((type) =>
    JSON.stringify({
      uid: 'mallory',
      nsp: '/',
      type,
      data: {
        opts: { rooms: [], except: [], flags: {} },
        rooms: ['x'],
        close: true,
        packet: ['edge.message', {}],
      },
    }),
  ),
];

function forgedEvent(name: string, payload: unknown): string {
  return JSON.stringify({
    uid: 'mallory',
    nsp: '/',
    type: 3,
    data: {
      opts: { rooms: [], except: [], flags: {} },
      packet: { type: 2, data: [name, payload], nsp: '/' },
    },
  });
}

export const INSIDE: readonly Attack[] = [
  {
    name: 'garbage on every channel of the store',
    world: 'plain',
    description: 'publishes broken messages, and messages that end connections, to every channel of Redis',
    allowedAnswers: ['published'],
    strike: (world, isOver) =>
      withRedis(world, (redis) =>
        repeatUntil(isOver, async () => {
          for (const message of FORGED_MESSAGES) await publishEverywhere(redis, message);
          return 'published';
        }),
      ),
  },
  {
    name: 'forged events on every channel of the store',
    world: 'plain',
    description: 'publishes unknown events and a `bye` to everybody in every room',
    allowedAnswers: ['published'],
    strike: (world, isOver) =>
      withRedis(world, (redis) =>
        repeatUntil(isOver, async () => {
          await publishEverywhere(redis, forgedEvent('no.such.event', { a: 1 }));
          await publishEverywhere(redis, forgedEvent('event', { id: 'x'.repeat(10_000) }));
          await publishEverywhere(
            redis,
            forgedEvent('bye', { code: 'flooding', message: 'x', retryable: false }),
          );
          await publishEverywhere(redis, forgedEvent('disconnect', {}));
          return 'published';
        }),
      ),
  },
  {
    name: 'garbage in the registry and in the room',
    world: 'plain',
    description: 'writes malformed records, and media nodes that do not exist, into Redis',
    allowedAnswers: ['written'],
    strike: (world, isOver) =>
      withRedis(world, async (redis) => {
        const registry = await mediaNodesKey(redis);
        const tracks = (await redis.keys(`*${MEETING_ROOM}*tracks`)).sort()[0];
        if (tracks === undefined) throw new Error('The room was not found.');
        const answers = await repeatUntil(isOver, async () => {
          await redis.hset(registry, 'mallory', 'garbage');
          await redis.hset(registry, '\r\n', '99999999999999|x|{"deep":'.concat('['.repeat(5_000)));
          await redis.hset(tracks, 'mallory', '1|x');
          await redis.hset(tracks, 'mallory-2', `9|${'x'.repeat(10_000)}|a|video|camera|0`);
          return 'written';
        });
        await redis.hdel(registry, 'mallory', '\r\n');
        await redis.hdel(tracks, 'mallory', 'mallory-2');
        return answers;
      }),
  },
  {
    name: 'twenty thousand records of garbage in the registry',
    world: 'plain',
    description:
      'writes that many malformed media nodes, which every process reads each second, and leaves them there',
    allowedAnswers: ['written'],
    strike: (world, isOver) =>
      withRedis(world, async (redis) => {
        const registry = await mediaNodesKey(redis);
        const ids = Array.from({ length: 20_000 }, (_, index) => `mallory-${index}`);
        await redis.hset(registry, new Map(ids.map((id) => [id, `garbage|of|${id}`])));
        try {
          await until('the time to be up', isOver, Boolean);
        } finally {
          await redis.hdel(registry, ...ids);
        }
        return ['written'];
      }),
  },
  {
    name: 'connections to the store cut',
    world: 'plain',
    description: 'ends every connection that processes have to Redis, four times a second',
    allowedAnswers: ['cut'],
    strike: (world, isOver) =>
      withRedis(world, (redis) =>
        repeatUntil(isOver, async () => {
          await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
          await new Promise((resolve) => setTimeout(resolve, 250));
          return 'cut';
        }),
      ),
  },
  {
    name: 'control links of strangers',
    world: 'plain',
    description: 'opens a hundred control links to a media node with no proof, a forged one, and deep frames',
    allowedAnswers: [
      'closed',
      'ignored',
      'malformed_message',
      'refused 400',
      'refused 401',
      'refused 403',
      'refused 503',
      'refused 429',
    ],
    strike: (world, isOver) =>
      repeatUntil(isOver, async () => {
        const answers: string[] = [];
        for (const auth of [
          '',
          '{}',
          '{"token":"a.b.c"}',
          `{"token":"${'x'.repeat(5_000)}"}`,
          '['.repeat(5_000),
        ]) {
          try {
            const client = await RawClient.open(world.targetNode.controlUrl, {
              localAddress: world.nextAddress(),
            });
            client.send(`40${auth}`);
            client.send(`420["peer.drop",${'['.repeat(6_000)}${']'.repeat(6_000)}]`);
            client.terminate();
            answers.push('closed');
          } catch (error) {
            answers.push(error instanceof Error ? error.message : String(error));
          }
        }
        return answers;
      }),
  },
  {
    name: 'garbage on every media port',
    world: 'plain',
    description:
      'sends random bytes, foreign STUN and empty packets to the UDP and TCP ports of a media node',
    allowedAnswers: ['sent'],
    strike: async (world, isOver) => {
      const { announcedAddress, portSlice } = world.targetNode;
      const socket = createSocket('udp4');
      const answers = await repeatUntil(isOver, async () => {
        for (let port = portSlice.first; port <= portSlice.last; port += 1)
          for (const packet of [randomBytes(200), strangeStun(), Buffer.alloc(0), rtcpOfNobody()])
            socket.send(packet, port, announcedAddress);
        const tcp = await RawTcp.open(`http://${announcedAddress}:${portSlice.first}`).catch(() => undefined);
        tcp?.write(Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(3_000)]));
        await new Promise((resolve) => setTimeout(resolve, 20));
        tcp?.close();
        return 'sent';
      });
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
      return answers;
    },
  },
];

/** A STUN binding request (RFC 8489) for an unknown user. */
function strangeStun(): Buffer {
  const username = Buffer.from('nobody:nowhere--');
  const header = Buffer.alloc(20);
  header.writeUInt16BE(0x0001, 0);
  header.writeUInt16BE(4 + username.length, 2);
  header.writeUInt32BE(0x2112a442, 4);
  randomBytes(12).copy(header, 8);
  const attribute = Buffer.alloc(4);
  attribute.writeUInt16BE(0x0006, 0);
  attribute.writeUInt16BE(username.length, 2);
  return Buffer.concat([header, attribute, username]);
}

function rtcpOfNobody(): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0xc9, 0x00, 0x07]), randomBytes(28)]);
}
