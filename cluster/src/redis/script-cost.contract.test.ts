/** No script does more than what it changes asks for: counted by Redis itself, not by a clock. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENT_ID } from '../protocol/ids.ts';
import type { PeerId } from '../protocol/ids.ts';
import type { EntryValue } from '../protocol/room-entry.ts';
import type { HeldPeer } from '../room/recovery-store.ts';
import type { StoredTrack } from '../room/room-log.ts';
import { edge, mediaNode, peer, request, room, track } from '../testing/samples.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { KEYS } from '../testing/store-keys.ts';
import type { RoomStores } from '../room/room-stores.ts';
import { redisRoomStores } from './redis-room-stores.ts';
import { scriptRunner } from './run-script.ts';

const ROOM = room('standup');
const EDGE = edge('edge-a');
const NODE = mediaNode('node-a');
const PEOPLE = 60;
const TRACKS_EACH = 6;
/** Commands that read a key to its end, whatever is asked of it. */
const WHOLE_READS = ['hgetall', 'hvals', 'hkeys', 'lrange', 'xrange', 'smembers'];

let server: TestRedis;
let redis: Redis;
let placements: RoomStores['placements'];
let roomLog: RoomStores['roomLog'];
let recovery: RoomStores['recovery'];
let entries: RoomStores['entries'];
beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url, { maxRetriesPerRequest: 0 });
  ({ placements, roomLog, recovery, entries } = redisRoomStores({
    redis,
    run: scriptRunner(redis),
    keys: KEYS,
  }));
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** How often keys were read as a whole while something was done. */
async function wholeReadsOf(work: () => Promise<unknown>): Promise<number> {
  await redis.config('RESETSTAT');
  await work();
  const stats = await redis.info('commandstats');
  return WHOLE_READS.reduce(
    (sum, name) => sum + Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0),
    0,
  );
}

const raise = async (peerId: PeerId, value?: EntryValue) =>
  entries.change({
    roomId: ROOM,
    actor: peerId,
    edgeId: EDGE,
    conditions: [{ kind: 'topic' }],
    writes: [{ kind: 'hand', peerId, maxOfKind: PEOPLE, ...(value === undefined ? {} : { value }) }],
  });

async function fill(): Promise<{ readonly held: HeldPeer[]; readonly tracks: StoredTrack[] }> {
  await redis.flushall();
  const held: HeldPeer[] = [];
  const tracks: StoredTrack[] = [];
  for (let person = 0; person < PEOPLE; person += 1) {
    const peerId = peer(`peer-${person}`);
    const requestId = request(`r-${person}`);
    const { epoch, holdEpoch, mediaNodeId } = await placements.placePeer({
      roomId: ROOM,
      peerId,
      requestId,
      edgeId: EDGE,
      mediaNodeId: NODE,
      maxPeers: 1_000,
    });
    const entry = { peerId, displayName: peerId, role: 'speaker' as const };
    const { self, sequence } = await roomLog.joinPeer(ROOM, entry, epoch);
    const { joinedAtMs } = self;
    held.push({
      ...entry,
      epoch,
      holdEpoch,
      mediaNodeId,
      requestId,
      sequence,
      joinedAtMs,
      tokenGeneration: 1,
    });
    for (let number = 0; number < TRACKS_EACH; number += 1) {
      const stored: StoredTrack = {
        trackId: track(`track-${person}-${number}`),
        peerId,
        epoch,
        homeNodeId: NODE,
        kind: 'audio',
        source: 'microphone',
        paused: false,
      };
      await roomLog.publishTrack(ROOM, stored);
      tracks.push(stored);
    }
    await raise(peerId, {});
  }
  return { held, tracks };
}

describe('what scripts cost', () => {
  it('[ST20] peers that are published again after a loss cost the same, however many tracks others have', async () => {
    const { held } = await fill();
    await redis.del(KEYS.room(ROOM).placements);
    const reads = await wholeReadsOf(() => recovery.republishPeers(ROOM, EDGE, held, EVENT_ID.parse('0-0')));
    expect(reads).toBeLessThanOrEqual(1);
  });

  it('[ST19] a join reads the tracks, the chat and the entries of its answer once, and nothing else', async () => {
    await fill();
    const peerId = peer('newcomer');
    const { epoch } = await placements.placePeer({
      roomId: ROOM,
      peerId,
      requestId: request('r-new'),
      edgeId: EDGE,
      mediaNodeId: NODE,
      maxPeers: 1_000,
    });
    const reads = await wholeReadsOf(async () => {
      const { snapshot } = await roomLog.joinPeer(
        ROOM,
        { peerId, displayName: 'New', role: 'speaker' },
        epoch,
      );
      expect(snapshot.tracks).toHaveLength(PEOPLE * TRACKS_EACH);
    });
    expect(reads).toBe(3);
  });

  it('[ST11] commands of one peer read nothing of the others', async () => {
    const { held, tracks } = await fill();
    const [[first], [own]] = [held, tracks];
    if (first === undefined || own === undefined) throw new Error('nobody is there');
    const { peerId, epoch, requestId } = first;
    // The first message counts what is there, and the others go on from that.
    await roomLog.postChat({ roomId: ROOM, peerId, requestId: request('first'), text: 'hello' });
    const reads = await wholeReadsOf(async () => {
      await roomLog.publishTrack(ROOM, { ...own, trackId: track('another') });
      await roomLog.setTrackPaused(ROOM, own.trackId, true);
      await roomLog.endTracks(ROOM, [own.trackId], 'unpublished');
      await raise(peerId);
      await raise(peerId, {});
      await placements.attachPeer(ROOM, peerId, epoch, EDGE);
      await placements.confirmToken(ROOM, peerId, 2);
      await placements.completeMove(ROOM, peerId, epoch);
      await placements.placementOf(ROOM, peerId);
      await roomLog.postChat({ roomId: ROOM, peerId, requestId, text: 'hello' });
    });
    expect(reads).toBe(0);
  });

  it('[ST11] a peer that leaves reads neither the tracks and entries of others nor the log', async () => {
    const { held } = await fill();
    const [first] = held;
    if (first === undefined) throw new Error('nobody is there');
    const reads = await wholeReadsOf(async () => {
      const events = await roomLog.removePeer(ROOM, first.peerId, first.epoch, 'left');
      expect(events).toHaveLength(TRACKS_EACH + 1);
    });
    expect(reads).toBe(0);
    expect(await entries.list(ROOM)).toHaveLength(PEOPLE - 1);
  });

  it('[ST11] entries that are published again after a loss are not read as a whole, but to be counted', async () => {
    await fill();
    const known = await entries.list(ROOM);
    await redis.hdel(KEYS.room(ROOM).meta, 'entries');
    await redis.del(KEYS.room(ROOM).entries);
    const reads = await wholeReadsOf(() => entries.republish(ROOM, known));
    expect(reads).toBe(1);
  });

  it('[ST11] tracks that are published again after a loss do not read the log', async () => {
    const { tracks } = await fill();
    await roomLog.endTracks(
      ROOM,
      tracks.map(({ trackId }) => trackId),
      'node_lost',
    );
    const reads = await wholeReadsOf(() => recovery.republishTracks(ROOM, NODE, tracks));
    expect(reads).toBeLessThanOrEqual(1);
  });
});
