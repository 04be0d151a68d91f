import { Redis } from 'ioredis';
import type { RoomId } from '../protocol/ids.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { channelPrefixOf } from '../redis/keys.ts';
import { KEYS } from './store-keys.ts';

/** Of every sort: empty, binary, cut short, too much, of a wrong type within, numbers out of bounds. */
export const GARBAGE: readonly string[] = [
  '',
  '|',
  '||||||||',
  'garbage',
  '\u0000\uffff',
  '{"half":',
  'null',
  '[]',
  '{"messageId":7,"portSlice":7,"edgeId":{}}',
  '-1|a|b|c',
  '99999999999999999999999|node|edge|request',
  '1|x y|z w|<>',
  'inf',
  'nan',
];

/** What may be published to edges and fits no message of the adapter's. */
const PUBLICATIONS: readonly string[] = [
  'garbage',
  '{}',
  'null',
  '{"uid":"x","nsp":"/","type":3}',
  '{"uid":"x","nsp":"/","type":3,"data":{"opts":{},"packet":7}}',
  '{"uid":"x","nsp":"/","type":4,"data":7}',
  '{"uid":"x","nsp":"/","type":6,"data":{}}',
  '{"uid":"x","nsp":"/","type":8,"data":{"packet":[]}}',
  '{"uid":"x","nsp":"/","type":8,"data":{"packet":["edge.message",7]}}',
  '\u0000\u0001\u0002',
];

/** Writes garbage into a hash, each piece under a field of its own. */
export async function spoilHash(redis: Redis, key: string): Promise<void> {
  for (const [index, value] of GARBAGE.entries()) await redis.hset(key, `garbage-${index}`, value);
}

/** Writes garbage beside everything that a cluster keeps of itself and of one room, and publishes some. */
export async function spoilStore(url: string, roomId: RoomId): Promise<void> {
  const redis = new Redis(url);
  try {
    const { placements, roster, rosterOrder, tracks, log, chat, entries } = KEYS.room(roomId);
    for (const key of [placements, roster, tracks, entries, KEYS.edges, KEYS.mediaNodes, KEYS.portSlices])
      await spoilHash(redis, key);
    for (const [index] of GARBAGE.entries()) await redis.zadd(rosterOrder, index, `garbage-${index}`);
    for (const value of GARBAGE) await redis.xadd(log, '*', 'garbage', value);
    await redis.rpush(chat, ...GARBAGE);
    const channel = `${channelPrefixOf(DEFAULT_NAMESPACE, 0)}#/#`;
    for (const name of [channel, `${channel}plenary-meeting-room:${roomId}#`]) {
      for (const publication of PUBLICATIONS) await redis.spublish(name, publication);
    }
  } finally {
    redis.disconnect();
  }
}

/** Puts a value of a wrong type in place of each key of one room. */
export async function breakRoom(url: string, roomId: RoomId): Promise<void> {
  const redis = new Redis(url);
  try {
    for (const key of Object.values({ ...KEYS.room(roomId) })) {
      await redis.del(key);
      await redis.setbit(key, 7, 1);
    }
  } finally {
    redis.disconnect();
  }
}
