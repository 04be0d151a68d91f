/** The Redis users that are shipped, on a real Redis: each may do what its processes do, and nothing else. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { shippedUser, urlOfUser, USER_KINDS } from '../testing/redis-users.ts';
import type { UserKind } from '../testing/redis-users.ts';
import {
  edge,
  edgeRecord,
  mediaNode,
  mediaNodeRecord,
  peer,
  request,
  room,
  tenant,
  track,
} from '../testing/samples.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import type { ClusterStore } from './connect.ts';
import { keysOf } from './keys.ts';
import { SCRIPTS } from './scripts.generated.ts';

let server: TestRedis;
const stores: ClusterStore[] = [];
const connections: Redis[] = [];

function connect(kind: UserKind): Redis {
  const redis = new Redis(urlOfUser(kind, server.port), { maxRetriesPerRequest: 0, retryStrategy: null });
  connections.push(redis);
  return redis;
}

async function storeOf(kind: UserKind): Promise<ClusterStore> {
  const store = await connectTestStore(server.as(kind).address);
  stores.push(store);
  return store;
}

beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(async () => {
  for (const connection of connections) connection.disconnect();
  await Promise.all(stores.map((store) => store.close()));
  await server.stop();
});

describe('the Redis users', () => {
  it('[KY4] let edges and media nodes carry a meeting, and an operator list the living processes', async () => {
    const [ofEdge, ofNode, ofOperator] = [
      await storeOf('edge'),
      await storeOf('media-node'),
      await storeOf('operator'),
    ];
    const roomId = room('standup');
    const ann = peer('ann');
    expect(await ofNode.registry.announceMediaNode(mediaNodeRecord('node-a'), 60_000)).toEqual({
      refused: null,
    });
    expect(await ofEdge.registry.announceEdge(edgeRecord('edge-a'), 60_000)).toEqual({ refused: null });
    const limits = { maxPeers: 10, maxRooms: 10 };
    await ofEdge.tenants.claim(tenant('acme'), { roomId, peerId: ann }, limits, 60_000);
    const { epoch } = await ofEdge.placements.placePeer({
      roomId,
      peerId: ann,
      requestId: request('r1'),
      edgeId: edge('edge-a'),
      mediaNodeId: mediaNode('node-a'),
      maxPeers: 10,
    });
    await ofEdge.roomLog.joinPeer(roomId, { peerId: ann, displayName: 'Ann', role: 'speaker' }, epoch);
    const microphone = {
      trackId: track('t1'),
      peerId: ann,
      kind: 'audio',
      source: 'microphone',
      paused: false,
      epoch,
      homeNodeId: mediaNode('node-a'),
    } as const;
    await ofNode.roomLog.publishTrack(roomId, microphone);
    await ofNode.recovery.republishTracks(roomId, mediaNode('node-a'), [microphone]);
    await ofNode.roomLog.setTrackPaused(roomId, microphone.trackId, true);
    expect((await ofEdge.placements.view(roomId)).tracks).toMatchObject([{ trackId: 't1', paused: true }]);
    await ofNode.roomLog.endTracks(roomId, [microphone.trackId], 'unpublished');
    const raised = { kind: 'hand', peerId: ann, maxOfKind: 10, value: {} };
    await ofEdge.entries.change({ roomId, actor: ann, edgeId: edge('edge-a'), writes: [raised] });
    await ofEdge.entries.republish(roomId, await ofEdge.entries.list(roomId));
    await ofEdge.roomLog.removePeer(roomId, ann, epoch, 'left');
    await ofEdge.tenants.release(tenant('acme'), { roomId, peerId: ann });
    expect(await ofOperator.registry.liveMediaNodes()).toHaveLength(1);
    expect(await ofOperator.registry.liveEdges()).toHaveLength(1);
  });

  it.each(USER_KINDS)(
    '[KY4] let a process of the kind %s find out whether Redis takes writes, in any slot',
    async (kind) => {
      const redis = connect(kind);
      for (const tag of [0, 7, 16_383])
        await redis.eval(SCRIPTS.probeWrites.lua, 1, keysOf(DEFAULT_NAMESPACE).probe(tag));
      // Only edges may write another key of that shape.
      const other = redis.eval(SCRIPTS.probeWrites.lua, 1, 'plenary:{tenant:acme}:written');
      if (kind === 'edge') await other;
      else await expect(other).rejects.toThrow(/NOPERM|permission|not allowed|can't access/i);
    },
  );

  it.each(['edge', 'media-node'] as const)(
    '[KY4] let an %s run every command of the scripts',
    async (kind) => {
      const rules = (await shippedUser(kind)).split(/\s+/);
      const commands = Object.values(SCRIPTS).flatMap(({ lua }) =>
        [...lua.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, command = '']) => command.toLowerCase()),
      );
      expect([...new Set(commands)].filter((command) => !rules.includes(`+${command}`))).toEqual([]);
    },
  );

  it.each(USER_KINDS)(
    '[KY5] let a process of the kind %s do nothing to the server, nor to what is another one’s',
    async (kind) => {
      const redis = connect(kind);
      const refused = async (...command: [string, ...string[]]): Promise<void> => {
        await expect(redis.call(...command), command.join(' ')).rejects.toThrow(
          /NOPERM|permission|not allowed|can't (run|access)/i,
        );
      };
      for (const command of [
        ['FLUSHALL'],
        ['FLUSHDB'],
        ['CONFIG', 'GET', '*'],
        ['KEYS', '*'],
        ['SCAN', '0'],
        ['ACL', 'LIST'],
        ['MONITOR'],
        ['SHUTDOWN', 'NOSAVE'],
        ['DEBUG', 'SLEEP', '0'],
        ['SCRIPT', 'FLUSH'],
        ['REPLICAOF', 'NO', 'ONE'],
        ['CLIENT', 'KILL', 'TYPE', 'normal'],
        ['HSET', 'somebody-else', 'a', 'b'],
        ['EVAL', "return redis.call('FLUSHALL')", '0'],
        ['SPUBLISH', 'somebody-else', 'x'],
      ] as [string, ...string[]][])
        await refused(...command);
      if (kind !== 'edge') {
        await refused('ZADD', 'plenary:{tenant:acme}:claims', '1', 'x');
        await refused('HSET', 'plenary:{registry}:edges', 'edge-x', 'x');
        await refused(
          'EVAL',
          "return redis.call('HSET', KEYS[1], 'a', 'b')",
          '1',
          'plenary:{registry}:edges',
        );
        await refused('SPUBLISH', 'plenary:socket.io#/#', 'x');
      }
      if (kind === 'operator') await refused('HGETALL', 'plenary:{room:r}:placements');
    },
  );
});
