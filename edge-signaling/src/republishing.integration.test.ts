import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { RoomSnapshot } from '@plenary/cluster/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { joinRequest } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { SHORT_LIVES, TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
afterEach(async () => cluster.stop());

/** What a client that knows nothing of the log is given. */
const UNKNOWN_EVENT = '5-5';

async function snapshotFor(client: TestClient): Promise<RoomSnapshot> {
  return waitFor('a snapshot', async () => {
    const reply = await client.call('sync', { afterEventId: UNKNOWN_EVENT });
    return reply.type === 'snapshot' ? reply.room : undefined;
  });
}

/** The room without its place in the log, and the tracks in an order. */
const contentOf = ({ peerCount, peers, tracks }: RoomSnapshot) => ({
  peerCount,
  peers,
  tracks: [...tracks].sort((left, right) => (left.trackId < right.trackId ? -1 : 1)),
});

const untilWhole = async (room: string): Promise<unknown> =>
  waitFor(`${room} to be whole`, async () => (await cluster.standing(room)) === 'whole');

/** Ann and Cem on one edge, Bob on the other, Ann and Bob with a track each. */
async function meet(room: string) {
  const [ann, bob, cem] = [await cluster.client(0), await cluster.client(1), await cluster.client(0)];
  const anns = await ann.join(room, { displayName: 'Ann' });
  const bobs = await bob.join(room, { displayName: 'Bob' });
  const cems = await cem.join(room, { displayName: 'Cem' });
  const { trackId } = await ann.publish(anns.media, 'ann');
  await bob.publish(bobs.media, 'bob');
  await ann.call('track.pause', { trackId, paused: true });
  return { ann, bob, cem, anns, bobs, cems };
}

const changesOf = (client: TestClient): string[] =>
  client
    .noticesOf('event')
    .map(({ event }) => event.type)
    .filter((type) => type.startsWith('peer.') || type === 'track.ended');

async function repairs(what: string): Promise<number> {
  const counts = await Promise.all(
    cluster.edges.map(async (edge) => edge.metric('plenary_edge_repairs_total', `what="${what}"`)),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('the store forgets everything in the middle of a meeting', () => {
  it('[RC1] [RC10][RC2] nobody sees anybody leave or come, the room is what it was, and people join and resume', async () => {
    // As in earnest far more than the time between two publications: else Bob could be gone before his edge publishes him.
    const edgeSettings = { PLENARY_RESUME_WITHIN_MS: '15000' };
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 2, edgeSettings });
    const { ann, bob, cem, bobs } = await meet('flushed');
    const before = await snapshotFor(ann);
    expect(before.peers.map(({ displayName }) => displayName)).toEqual(['Ann', 'Bob', 'Cem']);
    expect(before.tracks).toHaveLength(2);
    const changesBefore = [ann, bob, cem].map(changesOf);

    await cluster.redis.flush();
    // Bob's network changes at this very moment: his session is taken up on the other edge.
    bob.close();
    const bobAgain = await cluster.client(0);
    const resumed = await bobAgain.resume(bob, bobs.session, bobs.room.lastEventId);
    expect(resumed.mediaAlive).toBe(true);
    await untilWhole('flushed');

    for (const client of [ann, bobAgain, cem])
      expect(contentOf(await snapshotFor(client))).toEqual(contentOf(before));
    expect([ann, cem].map(changesOf)).toEqual([changesBefore[0], changesBefore[2]]);
    expect(await repairs('peers')).toBe(3);
    // Everybody is told to ask for the room anew, and nobody of a loss.
    for (const client of [ann, bobAgain, cem]) {
      await waitFor('the new order', () =>
        client.noticesOf('head').some(({ lastEventId }) => lastEventId > before.lastEventId),
      );
      expect(client.isClosed).toBe(false);
    }

    const dan = await cluster.client(1);
    const { room } = await dan.join('flushed', { displayName: 'Dan' });
    expect(room.peers.map(({ displayName }) => displayName)).toEqual(['Ann', 'Bob', 'Cem', 'Dan']);
    expect(room.tracks).toHaveLength(2);
    for (const client of [ann, bobAgain, cem])
      await client.event((event) => event.type === 'peer.joined' && event.peer.displayName === 'Dan', 'Dan');
    await cem.call('chat.post', { requestId: 'c', text: 'still here' });
    await dan.event((event) => event.type === 'chat.posted', 'the message');

    for (const client of [ann, bobAgain, cem, dan]) await client.call('leave', {});
    await waitFor('nothing to be left', async () => (await cluster.standing('flushed')) === 'absent');
    expect(await repairs('peers')).toBe(3);
  });

  it('[RC1] who speaks, opens media or joins before the loss was noticed finds the room', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const { ann, bob } = await (async () => {
      const [first, second] = [await cluster.client(), await cluster.client()];
      await first.join('asked');
      await second.join('asked', { displayName: 'Bob' });
      return { ann: first, bob: second };
    })();
    await cluster.redis.flush();
    // They are not refused, not even for a moment.
    await ann.callOnce('chat.post', { requestId: 'c', text: 'hi' });
    await bob.event((event) => event.type === 'chat.posted', 'the message');
    await cluster.redis.flush();
    await bob.callOnce('media.open', { rtpCapabilities: { codecs: [] }, publish: true });
    const late = await cluster.client();
    const request = await joinRequest('asked', { sessionKey: late.key.jwk, displayName: 'Late' });
    await cluster.redis.flush();
    // On a machine that stands still right now the room is whole again before the edge hears of the join.
    const first = await late.raw('join', request);
    expect(['ok', 'store_unavailable']).toContain(first.ok ? 'ok' : first.error.code);
    await untilWhole('asked');
    const joined = first.ok ? CLIENT_REQUESTS.join.reply.parse(first.data) : await late.call('join', request);
    expect(joined.room.peerCount).toBe(3);
    expect(ann.isClosed || bob.isClosed).toBe(false);
  });

  it('[RC4] who leaves while the store is away is gone, who stays is there', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const { ann, bob, cem } = await meet('away');
    await cluster.redis.kill();
    await waitFor('the edges to notice', async () => (await cluster.edge(0).status('/ready')) === 503);
    await ann.call('leave', {});
    await cluster.redis.restart();
    await cluster.untilServed();
    await untilWhole('away');
    for (const client of [bob, cem]) {
      // Of an edge that reaches the store later than the room is rebuilt the people come later.
      const { peers, tracks } = await waitFor('both who stayed, and their track', async () => {
        const room = await snapshotFor(client);
        return room.peers.length >= 2 && room.tracks.length > 0 && room;
      });
      expect(peers.map(({ displayName }) => displayName)).toEqual(['Bob', 'Cem']);
      expect(tracks).toHaveLength(1);
    }
    await waitFor(
      'the removal to be made',
      async () => (await cluster.edge(0).metric('plenary_edge_pending_departures')) === 0,
    );
  });
});

describe('records that nobody stands for', () => {
  it('[RC20] a removal that the store lost is made again at once', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [ann, bob] = [await cluster.client(), await cluster.client()];
    await ann.join('ghost');
    const { session } = await bob.join('ghost', { displayName: 'Bob' });
    const roomId = testRoom('ghost');
    const { placements } = cluster.store;
    const bringBack = await cluster.redis.keep();
    await bob.call('leave', {});
    expect(await cluster.ask(() => placements.placementOf(roomId, session.peerId))).toBeUndefined();
    // As the replica has it that did not hear of the leave.
    await bringBack();
    await waitFor(
      'the ghost to go',
      async () => (await placements.placementOf(roomId, session.peerId)) === undefined,
    );
    await untilWhole('ghost');
    expect((await snapshotFor(ann)).peers.map(({ displayName }) => displayName)).toEqual(['Ann']);
    expect(await repairs('gone')).toBe(1);
    expect(await repairs('events')).toBe(1);
  });

  it('[SE13] what an edge leaves behind that starts anew, and nobody takes up, goes', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1, edgeSettings: SHORT_LIVES });
    const gone = await cluster.client();
    const { session } = await gone.join('restarted', { displayName: 'Gone' });
    const [edge] = cluster.edges.splice(0);
    edge?.kill('SIGKILL');
    await edge?.exited();
    await cluster.addEdge('edge-1', SHORT_LIVES);
    const ann = await cluster.client();
    await ann.join('restarted');
    await waitFor(
      'who never came back to go',
      async () =>
        (await cluster.store.placements.placementOf(testRoom('restarted'), session.peerId)) === undefined,
    );
    await ann.event((event) => event.type === 'peer.left' && event.peerId === session.peerId, 'the leave');
  });
});

describe('the store hangs', () => {
  it('[RC7][SE9][SE55] joins are refused at once, the process is well but not ready, and all goes on when it wakes', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const { ann, bob, cem } = await meet('hanging');
    const before = await snapshotFor(ann);
    const trackId = before.tracks.find(({ paused }) => !paused)?.trackId ?? '';
    await ann.call('subscribe', { trackIds: [trackId] });
    cluster.redis.pause();
    try {
      // What waits for the store is answered with an error when its deadline has passed, and a sign of life before that.
      const answered: string[] = [];
      const waiting = bob
        .refusal('chat.post', { requestId: 'b', text: 'hi' })
        .then(() => answered.push('chat'));
      await bob.call('edge.check', {});
      answered.push('check');
      await waiting;
      expect(answered).toEqual(['check', 'chat']);
      for (const edge of cluster.edges) {
        await waitFor('the edge to notice', async () => (await edge.status('/ready')) === 503);
        expect(await edge.status('/health')).toBe(200);
      }
      const late = await cluster.client();
      expect(await late.refusal('join', await joinRequest('hanging'))).toBe('store_unavailable');
      expect(await ann.refusal('chat.post', { requestId: 'c', text: 'hi' })).toBe('store_unavailable');
      expect((await ann.call('subscribe', { trackIds: [trackId] })).consumers).toHaveLength(1);
      await cem.call('leave', {});
    } finally {
      cluster.redis.goOn();
    }
    await cluster.untilServed();
    const { placements } = cluster.store;
    const roomId = testRoom('hanging');
    await waitFor('Cem to be gone', async () => (await placements.list(roomId)).length === 2);
    await untilWhole('hanging');
    const dan = await cluster.client(1);
    await dan.join('hanging', { displayName: 'Dan' });
    expect((await snapshotFor(ann)).peers.map(({ displayName }) => displayName)).toEqual([
      'Ann',
      'Bob',
      'Dan',
    ]);
    expect(ann.isClosed || bob.isClosed).toBe(false);
  });
});
