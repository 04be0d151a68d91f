/** What somebody else wrote into the store, by mistake or on purpose, ends nothing (SPEC ST3). On a real Redis. */
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Epoch } from '../protocol/edge-media.ts';
import { DATACENTER_ID, EVENT_ID, HIGHEST_EPOCH } from '../protocol/ids.ts';
import { MAX_LATER_EVENT_BYTES } from '../protocol/later.ts';
import type { EntryValue } from '../protocol/room-entry.ts';
import { catchUp } from '../room/catch-up.ts';
import type { EntryChangeResult } from '../room/room-entries.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
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
import { GARBAGE, spoilHash } from '../testing/spoiled-store.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';
import type { ClusterStore } from './connect.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { KEYS } from '../testing/store-keys.ts';
import type { MalformedKind } from './malformed.ts';

const ROOM = room('standup');
const {
  placements: PLACEMENTS,
  roster: ROSTER,
  rosterOrder: ROSTER_ORDER,
  tracks: TRACKS,
  log: LOG,
  chat: CHAT,
  entries: ENTRIES,
  meta: META,
} = KEYS.room(ROOM);
let server: TestRedis;
let redis: Redis;
let store: ClusterStore;
let lines: string[];
let met: MalformedKind[];
beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  lines = [];
  met = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  store = connectClusterStore({
    address: server.address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'test',
    logger,
  });
  store.onMalformed((kind) => met.push(kind));
  await waitFor('the store', () => store.isAvailable());
});
afterEach(async () => store.close());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function join(name: string) {
  const { epoch } = await store.placements.placePeer({
    roomId: ROOM,
    peerId: peer(name),
    requestId: request(`join-${name}`),
    edgeId: edge('edge-a'),
    mediaNodeId: mediaNode('node-a'),
    maxPeers: 1_000,
  });
  const self = { peerId: peer(name), displayName: name, role: 'speaker' as const };
  return { epoch, ...(await store.roomLog.joinPeer(ROOM, self, epoch)) };
}

const publish = async (name: string, owner: string, epoch: Epoch, paused = false) =>
  store.roomLog.publishTrack(ROOM, {
    trackId: track(name),
    peerId: peer(owner),
    kind: 'video',
    source: 'camera',
    paused,
    homeNodeId: mediaNode('node-a'),
    epoch,
  });
const post = async (name: string, id: string) =>
  store.roomLog.postChat({ roomId: ROOM, peerId: peer(name), requestId: request(id), text: `says ${id}` });

const versionOf = (result: EntryChangeResult): number | undefined =>
  result.type === 'changed' ? result.entries[0]?.version : undefined;

const spoil = async (key: string): Promise<void> => spoilHash(redis, key);

const garbageRecords = (count: number): [id: string, value: string][] =>
  Array.from({ length: count }, (_, index) => [`x-${index}`, `9999999999999|x|{"a":${index}}`]);

/** How many log lines tell of one kind. */
const said = (kind: MalformedKind): number =>
  lines.filter((line) => line.includes(`"record":"${kind}"`)).length;

describe('malformed records', () => {
  it('[ST3] placements: other peers are placed, seen and removed; each bad record is counted, and its kind logged once', async () => {
    await join('ann');
    await spoil(PLACEMENTS);
    const { epoch } = await join('bob');
    const { occupancy } = await store.placements.view(ROOM);
    expect(occupancy.peerCount).toBe(2);
    expect((await store.placements.list(ROOM)).map(({ peerId }) => peerId).sort()).toEqual(['ann', 'bob']);
    expect(met.filter((kind) => kind === 'placement')).toHaveLength(2 * GARBAGE.length);
    expect(said('placement')).toBe(1);
    expect(await store.roomLog.removePeer(ROOM, peer('bob'), epoch, 'left')).toHaveLength(1);
  });

  it('[ST3] a peer’s own malformed placement counts as missing: no resume, a fresh placement, a removal', async () => {
    for (const value of GARBAGE) {
      const { epoch } = await join('ann');
      await redis.hset(PLACEMENTS, 'ann', value);
      expect(await store.placements.placementOf(ROOM, peer('ann'))).toBeUndefined();
      const gone = { code: 'peer_not_found' };
      await expect(
        store.placements.attachPeer(ROOM, peer('ann'), epoch, edge('edge-b'), 1),
      ).rejects.toMatchObject(gone);
      await expect(publish('camera', 'ann', epoch)).rejects.toMatchObject(gone);
      const again = await join('ann');
      expect(again.epoch).toBeGreaterThan(epoch);
      await redis.hset(PLACEMENTS, 'ann', value);
      await store.roomLog.removePeer(ROOM, peer('ann'), again.epoch, 'left');
      expect(await redis.dbsize()).toBe(0);
    }
  });

  it('[ST3] roster: other peers are listed, page by page; a peer’s own record is rewritten', async () => {
    await join('ann');
    await spoil(ROSTER);
    for (const [index] of GARBAGE.entries()) await redis.zadd(ROSTER_ORDER, 1.5 + index, `garbage-${index}`);
    await redis.zadd(ROSTER_ORDER, 1.2, 'nobody');
    await redis.hset(ROSTER, 'cat', 'garbage');
    const { snapshot } = await join('bob');
    const names = (peers: readonly { displayName: string }[]) => peers.map(({ displayName }) => displayName);
    expect(names(snapshot.peers).sort()).toEqual(['ann', 'bob']);
    expect(names((await store.roomLog.rosterPage(ROOM, '')).peers).sort()).toEqual(['ann', 'bob']);
    expect(met).toContain('roster');
    expect(said('roster')).toBe(1);
    await expect(post('cat', 'c1')).rejects.toMatchObject({ code: 'peer_not_found' });
    expect((await join('cat')).self.displayName).toBe('cat');
    await post('cat', 'c1');
  });

  it('[ST3] tracks: other tracks are listed and changed; a malformed one is published again or removed', async () => {
    const { epoch } = await join('ann');
    await publish('camera', 'ann', epoch);
    await spoil(TRACKS);
    const ids = ['camera', ...GARBAGE.map((_value, index) => `garbage-${index}`)].map(track);
    expect((await store.placements.view(ROOM)).tracks.map(({ trackId }) => trackId)).toEqual(['camera']);
    expect(await store.roomLog.tracks(ROOM, ids)).toHaveLength(1);
    expect(met.filter((kind) => kind === 'track')).toHaveLength(2 * GARBAGE.length);
    expect(said('track')).toBe(1);
    expect((await join('bob')).snapshot.tracks).toHaveLength(1);
    expect(await store.roomLog.setTrackPaused(ROOM, track('garbage-1'), true)).toEqual([]);
    const [published] = await publish('garbage-1', 'ann', epoch, true);
    expect(published?.event.type).toBe('track.published');
    expect(await store.roomLog.endTracks(ROOM, ids, 'unpublished')).toHaveLength(2);
    expect(await redis.exists(TRACKS)).toBe(0);
  });

  it('[ST3] log: entries that are no events are skipped; a malformed event leads to a snapshot', async () => {
    const { snapshot } = await join('ann');
    const known = snapshot.lastEventId;
    await redis.xadd(LOG, '*', 'nothing', 'of', 'our', 'own');
    await redis.xadd(LOG, '*', 'one', '1', 'two', '2', 'three', '3');
    const { events } = await join('bob');
    const posted = await post('bob', 'c1');
    await redis.xadd(LOG, '*', 'last', 'garbage');
    expect(await catchUp(store.roomLog, ROOM, known)).toEqual({
      type: 'events',
      events: [...events, ...posted.events],
    });
    expect(met.filter((kind) => kind === 'event')).toHaveLength(3);
    expect(said('event')).toBe(1);

    // An event that was there and cannot be read must not be missed without a word.
    for (const value of ['garbage', '{"type":"peer.joined"}', '']) {
      const previousId = await store.roomLog.lastEventId(ROOM);
      const id = await redis.xadd(LOG, '*', 'previousId', previousId, 'event', value);
      await redis.hset(META, 'lastEventId', String(id));
      await post('bob', `after-${value.length}`);
      const caughtUp = await catchUp(store.roomLog, ROOM, previousId);
      expect(caughtUp).toMatchObject({ type: 'snapshot', room: { peerCount: 2 } });
    }
  });

  it('[PR18][PR19] log: an event of a later release is returned unchanged; one of a known type in another shape counts as malformed', async () => {
    const { snapshot } = await join('ann');
    const poll = { type: 'poll.opened', question: 'Lunch?', options: ['yes', { text: 'no', weight: 1.5 }] };
    const log = async (event: object): Promise<void> => {
      const previousId = await store.roomLog.lastEventId(ROOM);
      const id = await redis.xadd(LOG, '*', 'previousId', previousId, 'event', JSON.stringify(event));
      await redis.hset(META, 'lastEventId', String(id));
    };
    await log(poll);
    const posted = await post('ann', 'c1');
    const caughtUp = await catchUp(store.roomLog, ROOM, snapshot.lastEventId);
    const events = caughtUp.type === 'events' ? caughtUp.events : [];
    expect(JSON.parse(JSON.stringify(events.map(({ event }) => event)))).toEqual([
      poll,
      posted.events[0]?.event,
    ]);
    expect(met).toEqual([]);
    const before = await store.roomLog.lastEventId(ROOM);
    for (const forged of [
      { type: 'peer.left', peerId: 'ann' },
      { type: 'entries.changed', changes: [{ kind: 'hand', version: 0 }] },
      { type: 'poll.opened', text: 'x'.repeat(MAX_LATER_EVENT_BYTES) },
      { type: 'Not A Name' },
    ]) {
      await log(forged);
      expect(await catchUp(store.roomLog, ROOM, before)).toMatchObject({ type: 'snapshot' });
    }
  });

  it.each([
    ['18446744073709551615-18446744073709551615', 'kept'],
    ['18446744073709551615-18446744073709551615', 'removed'],
    ['18446744073709551615-7', 'kept'],
    ['9999999999999999999-7', 'kept'],
  ])(
    '[ST13] log: after an entry %s, %s, events go on, and who knows the last one misses none',
    async (id, fate) => {
      const { snapshot } = await join('ann');
      await redis.xadd(LOG, id, 'somebody', 'else');
      if (fate === 'removed') await redis.xdel(LOG, id);
      const [first] = (await join('bob')).events;
      const posted = await post('bob', 'c1');
      expect([first?.previousId, posted.events[0]?.previousId]).toEqual([snapshot.lastEventId, first?.id]);
      expect(await catchUp(store.roomLog, ROOM, snapshot.lastEventId)).toEqual({
        type: 'events',
        events: [first, ...posted.events],
      });
      expect(Number(await redis.hget(META, 'logBytes'))).toBeGreaterThan(0);
    },
  );

  it('[ST13] log: a room that recorded such an id as its last one continues too', async () => {
    await join('ann');
    await redis.xadd(LOG, '18446744073709551615-5', 'somebody', 'else');
    await redis.hset(META, 'lastEventId', '18446744073709551615-5');
    await join('bob');
    const last = await store.roomLog.lastEventId(ROOM);
    const posted = await post('bob', 'c1');
    expect(await catchUp(store.roomLog, ROOM, last)).toEqual({ type: 'events', events: posted.events });
  });

  it('[ST3] chat: readable messages are shown, and new ones can be posted', async () => {
    await join('ann');
    await post('ann', 'c1');
    await redis.rpush(CHAT, ...GARBAGE);
    await post('ann', 'c2');
    expect((await post('ann', 'c2')).events).toEqual([]);
    const { snapshot } = await join('bob');
    expect(snapshot.chat.map(({ text }) => text)).toEqual(['says c1', 'says c2']);
    expect(met.filter((kind) => kind === 'chat')).toHaveLength(GARBAGE.length);
    expect(said('chat')).toBe(1);
  });

  it('[ST3] entries: other entries are shown and changed, a malformed one is rewritten, and wrong counts are counted again', async () => {
    await join('ann');
    const raise = async (name: string, value?: EntryValue) =>
      store.entries.change({
        roomId: ROOM,
        actor: peer('ann'),
        edgeId: edge('edge-a'),
        writes: [
          { kind: 'hand', peerId: peer(name), maxOfKind: 1_000, ...(value === undefined ? {} : { value }) },
        ],
      });
    await raise('ann', {});
    await spoil(ENTRIES);
    for (const [index, value] of GARBAGE.entries()) {
      await redis.hset(ENTRIES, `hand|ben-${index}|`, `${Date.now()}|${value}`);
      await redis.hset(ENTRIES, `hand|eve|${value}`, '7|{}');
    }
    const { snapshot } = await join('bob');
    // Of the garbage some reads as JSON, and is whatever it is.
    const own = snapshot.entries.filter(({ peerId = '' }) => /^[a-z]+$/.test(peerId) && peerId !== 'eve');
    expect(own).toMatchObject([{ peerId: 'ann', value: {} }]);
    expect(met).toContain('entry');
    expect(said('entry')).toBe(1);
    await redis.hset(ENTRIES, 'hand|bob|', 'garbage');
    expect(await raise('bob', {})).toMatchObject({ type: 'changed', events: [{}] });
    for (const value of GARBAGE) {
      await redis.hset(META, 'entries', value, 'entries|ann', value);
      expect(await raise('ann')).toMatchObject({ type: 'changed', events: [{}] });
      const again = await raise('ann', {});
      expect(again).toMatchObject({ type: 'changed', entries: [{ peerId: 'ann', value: {} }] });
      expect((await redis.hget(META, 'entries'))?.split('|')[0]).toBe(String(versionOf(again)));
    }
  });

  it('[ST3] meta: epochs, order, gateways and tokens continue from the other records', async () => {
    const claim = {
      roomId: ROOM,
      datacenter: DATACENTER_ID.parse('sbg'),
      homeNodeId: mediaNode('home'),
      mediaNodeId: mediaNode('node-a'),
    };
    let last = await join('first');
    for (const [index, value] of GARBAGE.entries()) {
      const fields = ['lastEventId', 'lastEpoch', 'joinSequence', 'gateway|sbg|home', 'token|first'];
      for (const field of fields) await redis.hset(META, field, value);
      expect(await store.roomLog.lastEventId(ROOM)).toMatch(/^\d+-\d+$/);
      expect((await store.gateways.claimGateway(claim)).mediaNodeId).toBe('node-a');
      await store.placements.attachPeer(ROOM, peer('first'), (await join('first')).epoch, edge('edge-a'), 3);
      const next = await join(`later-${index}`);
      expect(next.epoch).toBeGreaterThan(last.epoch);
      expect(next.events[0]?.previousId).toBe(last.events[0]?.id);
      expect(next.snapshot.peers.at(-1)?.peerId).toBe(`later-${index}`);
      last = next;
    }
    expect(said('meta')).toBe(1);
    await redis.hset(META, 'lastEventId', 'garbage');
    expect(await catchUp(store.roomLog, ROOM, EVENT_ID.parse('1-1'))).toMatchObject({ type: 'snapshot' });
  });

  it.each([0, 1, 991])('[ST14] [EP1] meta: an epoch %i above the highest loses nobody', async (above) => {
    const ann = await join('ann');
    await redis.hset(META, 'lastEpoch', String(HIGHEST_EPOCH + above));
    const [bob, cem] = [await join('bob'), await join('cem')];
    expect(bob.epoch).toBeGreaterThan(ann.epoch);
    expect(cem.epoch).toBeGreaterThan(bob.epoch);
    expect((await join('bob')).epoch).toBe(bob.epoch);
    expect(cem.snapshot.peers.map(({ peerId }) => peerId)).toEqual(['ann', 'bob', 'cem']);
    expect(met).toEqual([]);
  });

  it('[ST3] registry: other processes are announced, listed and withdrawn', async () => {
    const { registry } = store;
    for (const key of [KEYS.edges, KEYS.mediaNodes]) {
      await spoil(key);
      for (const [index, value] of GARBAGE.entries())
        await redis.hset(key, `leased-${index}`, `9999999999999|incarnation|${value}`);
    }
    const [node, anEdge] = [mediaNodeRecord('node-a'), edgeRecord('edge-a')];
    expect(await registry.announceMediaNode(node, 60_000)).toEqual({ refused: null });
    expect(await registry.announceEdge(anEdge, 60_000)).toEqual({ refused: null });
    expect(await registry.liveMediaNodes()).toEqual([node]);
    expect(await registry.liveEdges()).toEqual([anEdge]);
    // In each hash one piece of garbage reads as a lease that has lapsed.
    expect(met).toHaveLength(4 * GARBAGE.length - 2);
    expect(said('registry')).toBe(1);
    await registry.withdrawEdge(anEdge.edgeId, anEdge.incarnation);
    expect(await registry.liveEdges()).toEqual([]);
    const other = mediaNodeRecord('node-a');
    expect(await registry.announceMediaNode(other, 60_000)).toEqual({ refused: 'id_taken' });
  });

  it('[EN41] registry: an unreadable record is read once, and logged once', async () => {
    const { registry } = store;
    const node = mediaNodeRecord('node-a');
    await registry.announceMediaNode(node, 60_000);
    await redis.hset(KEYS.mediaNodes, ...garbageRecords(900).flat());
    expect(await registry.liveMediaNodes()).toEqual([node]);
    expect(met).toHaveLength(900);
    const parses = vi.spyOn(JSON, 'parse');
    try {
      expect(await registry.liveMediaNodes()).toEqual([node]);
      expect(parses).not.toHaveBeenCalled();
    } finally {
      parses.mockRestore();
    }
    expect(met).toHaveLength(1_800);
    expect(said('registry')).toBe(1);
  });

  it('[EN13] [EN42] registry: of thousands of records a bounded number is read at a time, some in each turn of the event loop, and all over time', async () => {
    const { registry } = store;
    const known = mediaNodeRecord('known');
    await registry.announceMediaNode(known, 60_000);
    expect(await registry.liveMediaNodes()).toEqual([known]);
    await redis.hset(KEYS.mediaNodes, ...garbageRecords(5_000).flat());
    await redis.hset(KEYS.mediaNodes, 'long', `9999999999999|x|{"a":"${'x'.repeat(1_000_000)}"}`);
    const late = mediaNodeRecord('late', { portSlice: { firstPort: 30_000, lastPort: 30_099 } });
    await registry.announceMediaNode(late, 60_000);
    const parses = vi.spyOn(JSON, 'parse');
    let inATurn = 0;
    let most = 0;
    let isOver = false;
    const count = (): void => {
      most = Math.max(most, parses.mock.calls.length - inATurn);
      inATurn = parses.mock.calls.length;
      if (!isOver) setImmediate(count);
    };
    try {
      setImmediate(count);
      const read = await registry.liveMediaNodes();
      expect(read).toContainEqual(known);
      expect(parses.mock.calls.length).toBeLessThanOrEqual(1_000);
      expect(most).toBeLessThan(100);
      expect(parses.mock.calls.every(([text]) => text.length <= 4_096)).toBe(true);
    } finally {
      isOver = true;
      parses.mockRestore();
    }
    for (let reading = 0; reading < 6; reading += 1)
      expect(await registry.liveMediaNodes()).toContainEqual(known);
    expect(await registry.liveMediaNodes()).toEqual([known, late]);
    expect(said('registry')).toBe(1);
  });

  it('[EN43] registry: a record under another name hides nobody', async () => {
    const { registry } = store;
    const node = mediaNodeRecord('node-a');
    await registry.announceMediaNode(node, 60_000);
    expect(await registry.liveMediaNodes()).toEqual([node]);
    for (let index = 0; index < 20; index += 1) {
      const forged = { ...node, controlUrl: `http://192.0.2.1:${index + 1}` };
      await redis.hset(KEYS.mediaNodes, `mallory-${index}`, `9999999999999|x|${JSON.stringify(forged)}`);
    }
    expect(await registry.liveMediaNodes()).toEqual([node]);
    expect(await registry.liveMediaNodes()).toEqual([node]);
  });

  it('[ST3] registry: an id with garbage under it can be claimed', async () => {
    await redis.hset(KEYS.edges, 'edge-a', 'garbage');
    const record = edgeRecord('edge-a');
    expect(await store.registry.announceEdge(record, 60_000)).toEqual({ refused: null });
    expect(await store.registry.liveEdges()).toEqual([record]);
  });

  it('[ST3] port slices: a slice with garbage under it can be claimed', async () => {
    const { mediaNodeId, incarnation, announcedAddress, portSlice } = mediaNodeRecord('node-a');
    const field = `${portSlice.firstPort}|${portSlice.lastPort}|${announcedAddress}|`;
    for (const value of [...GARBAGE, '9999999999999|incarnation|no id']) {
      await spoil(KEYS.portSlices);
      await redis.hset(KEYS.portSlices, field, value);
      const claim = { mediaNodeId, incarnation, announcedAddress, wanted: portSlice };
      expect(await store.registry.claimPortSlice(claim, 60_000)).toEqual({ refused: null, portSlice });
      expect(
        await store.registry.announceMediaNode(mediaNodeRecord('node-a', { incarnation }), 60_000),
      ).toEqual({
        refused: null,
      });
    }
  });

  it('[ST3] tenants: claims are held and freed, and an invalid count is computed again', async () => {
    const acme = tenant('acme');
    const { claims, rooms } = KEYS.tenant(acme);
    const claimOf = (name: string, where = ROOM) => ({ roomId: where, peerId: peer(name) });
    const limits = { maxPeers: undefined, maxRooms: 2 };
    const { tenants } = store;
    await tenants.claim(acme, claimOf('ann'), limits, 60_000);
    for (const [index, value] of GARBAGE.entries()) await redis.zadd(claims, index, value);
    await redis.hset(rooms, ROOM, 'garbage');
    await tenants.claim(acme, claimOf('bob'), limits, 60_000);
    expect(await redis.hget(rooms, ROOM)).toBe('2');
    await redis.hset(rooms, ROOM, 'garbage');
    await tenants.release(acme, claimOf('ann'));
    expect(await redis.hget(rooms, ROOM)).toBe('1');
    await tenants.renew(acme, [claimOf('bob')], 60_000);
    await tenants.claim(acme, claimOf('cat', room('retro')), limits, 60_000);
    await expect(tenants.claim(acme, claimOf('dan', room('third')), limits, 60_000)).rejects.toMatchObject({
      code: 'tenant_limit_reached',
    });
  });

  it('[ST12] a key of a wrong type loses this part of its room, and nothing else', async () => {
    for (const key of Object.values({ ...KEYS.room(ROOM) })) {
      await redis.flushall();
      const { epoch } = await join('ann');
      await redis.del(key);
      await redis.setbit(key, 7, 1);
      const attempts = await Promise.allSettled([
        store.placements.view(ROOM),
        store.placements.list(ROOM),
        catchUp(store.roomLog, ROOM, EVENT_ID.parse('1-1')),
        store.roomLog.rosterPage(ROOM, ''),
        publish('camera', 'ann', epoch),
        post('ann', 'c1'),
        store.entries.change({
          roomId: ROOM,
          actor: peer('ann'),
          edgeId: edge('edge-a'),
          writes: [{ kind: 'hand', maxOfKind: 1, value: {} }],
        }),
        store.roomLog.removePeer(ROOM, peer('ann'), epoch, 'left'),
      ]);
      const codes = attempts.flatMap((attempt) =>
        attempt.status === 'rejected' ? [attempt.reason as unknown] : [],
      );
      expect(codes.length).toBeGreaterThan(0);
      for (const code of codes)
        expect(code).toMatchObject({
          code: expect.stringMatching(/^(store_unavailable|peer_not_found)$/) as string,
        });
      expect(store.isAvailable()).toBe(true);
      expect(said('room')).toBe(1);
      expect((await join('bob')).self.displayName).toBe('bob');
      await post('bob', 'c2');
    }
  });
});
