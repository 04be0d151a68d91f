/** Raised hands over real edges and a real Redis. */
import { KeyRing } from '@plenary/cluster';
import { askServer } from '@plenary/cluster/testing/redis-process';
import type { ClientReply, HeardEvent, RoomSnapshot } from '@plenary/cluster/protocol';
import { KEYS } from '@plenary/cluster/testing/store-keys';
import { afterEach, describe, expect, it } from 'vitest';
import { TEST_CLUSTER_SECRET, testRoom } from '../../testing/edge-process.ts';
import { testToken } from '../../testing/test-client.ts';
import type { TestClient } from '../../testing/test-client.ts';
import { TestCluster } from '../../testing/test-cluster.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { PublicationSeal } from '../../transport/publication-seal.ts';

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

/** Whose hands are up in a room that is given as a whole, in their order. */
const raisedIn = ({ entries, peers }: RoomSnapshot): string[] =>
  entries
    .filter(({ kind }) => kind === 'hand')
    .sort((left, right) => left.version - right.version)
    .map((entry) => peers.find(({ peerId }) => peerId === entry.peerId)?.displayName ?? '?');

const isChanged = (
  event: HeardEvent['event'],
): event is Extract<HeardEvent['event'], { type: 'entries.changed' }> => event.type === 'entries.changed';

/** What a client heard of hands: who raised one, and who lowered one. */
const heard = (client: TestClient, names: ReadonlyMap<string, string>): string[] =>
  client
    .noticesOf('event')
    .map(({ event }) => event)
    .filter(isChanged)
    .flatMap(({ changes }) => changes)
    .sort((left, right) => left.version - right.version)
    .map(({ peerId = '', value }) => `${names.get(peerId)} ${value === undefined ? 'down' : 'up'}`);

async function join(edge: number, room: string, displayName: string, role = 'speaker') {
  const client = await cluster.client(edge);
  const joined = await client.join(room, { displayName, token: await testToken(room, { role }) });
  return { client, joined };
}

/** Ann on one edge, Bob and a host on the other; Bob raised his hand, then Ann hers. */
async function meet(room: string) {
  const [ann, bob, host] = [
    await join(0, room, 'Ann', 'viewer'),
    await join(1, room, 'Bob'),
    await join(1, room, 'Host', 'host'),
  ];
  const people = [ann, bob, host];
  const names = new Map(people.map(({ joined: { session } }) => [`${session.peerId}`, session.displayName]));
  await bob.client.call('hand.raise', {});
  await ann.client.call('hand.raise', {});
  for (const { client } of people)
    await waitFor('everybody to hear of both hands', () => heard(client, names).length === 2);
  return { ann, bob, host, people, names };
}

describe('raised hands', () => {
  it('[RE9][RE24] are in one order for everybody, on whichever edge, and for who comes or resumes later', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const { ann, bob, host, people, names } = await meet('order');
    for (const { client } of people) {
      expect(heard(client, names)).toEqual(['Bob up', 'Ann up']);
      expect(raisedIn(await snapshotFor(client))).toEqual(['Bob', 'Ann']);
    }
    expect(raisedIn((await join(0, 'order', 'Cem')).joined.room)).toEqual(['Bob', 'Ann']);

    // A hand stays up while its person comes back on another edge, which knew nothing of it.
    bob.client.close();
    const again = await cluster.client(0);
    const resumed: ClientReply<'resume'> = await again.resume(bob.client, bob.joined.session, UNKNOWN_EVENT);
    if (resumed.catchUp.type !== 'snapshot') throw new Error('no snapshot');
    expect(raisedIn(resumed.catchUp.room)).toEqual(['Bob', 'Ann']);
    expect(await ann.client.refusal('hand.lower', { peerId: bob.joined.session.peerId })).toBe('forbidden');
    await host.client.call('hand.lower', { peerId: bob.joined.session.peerId });
    await again.call('hand.raise', {});
    await waitFor('Ann to hear of it', () => heard(ann.client, names).length === 4);
    expect(heard(ann.client, names).slice(2)).toEqual(['Bob down', 'Bob up']);
    expect(raisedIn(await snapshotFor(host.client))).toEqual(['Ann', 'Bob']);

    await ann.client.call('leave', {});
    expect(raisedIn(await snapshotFor(host.client))).toEqual(['Bob']);
    await again.call('leave', {});
    await host.client.call('leave', {});
  });

  it('[RE24][RE5] are as they were after the store forgot everything, and after it forgot them alone', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const { ann, bob, host, people } = await meet('flushed');
    await host.client.call('hand.lower', { peerId: bob.joined.session.peerId });
    await bob.client.call('hand.raise', {});
    await host.client.call('hand.raise', {});
    await host.client.call('hand.lower', {});
    await cluster.redis.flush();
    await waitFor('the room to be whole', async () => (await cluster.standing('flushed')) === 'whole');
    for (const { client } of people) expect(raisedIn(await snapshotFor(client))).toEqual(['Ann', 'Bob']);

    const { entries, meta } = KEYS.room(testRoom('flushed'));
    await askServer(cluster.redis.url, async (redis) => {
      await redis.del(entries);
      await redis.hdel(
        meta,
        'entries',
        `entries|${ann.joined.session.peerId}`,
        `entries|${bob.joined.session.peerId}`,
      );
    });
    await waitFor(
      'the hands to be there again',
      async () => raisedIn(await snapshotFor(ann.client)).join() === 'Ann,Bob',
    );
    // A tombstone of the host's is among them.
    expect((await cluster.ask((store) => store.entries.list(testRoom('flushed')))).length).toBe(3);
  });

  it('[RE24] stay up when their edge is killed, and who comes back has it up', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const { ann, bob, host } = await meet('killed');
    const [, second] = cluster.edges;
    second?.kill('SIGKILL');
    const again = await cluster.client(0);
    const { catchUp } = await again.resume(host.client, host.joined.session, host.joined.room.lastEventId);
    expect(catchUp.type).toBe('events');
    expect(raisedIn(await snapshotFor(again))).toEqual(['Bob', 'Ann']);
    const bobAgain = await cluster.client(0);
    await bobAgain.resume(bob.client, bob.joined.session, bob.joined.room.lastEventId);
    await bobAgain.call('leave', {});
    await ann.client.event((event) => event.type === 'peer.left', 'Bob leaving');
    expect(raisedIn(await snapshotFor(again))).toEqual(['Ann']);
  });

  it('[PR18] an event and an entry of a later release reach the clients of this one as they came', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const { client: ann, joined } = await join(0, 'later', 'Ann');
    const roomId = testRoom('later');
    const poll = {
      kind: 'poll',
      name: 'lunch',
      value: { options: ['yes', { text: 'no', weight: 0.5 }], open: true },
    };
    // A later edge changes an entry, and tells of something else.
    const result = await cluster.ask((store) =>
      store.entries.change({
        roomId,
        actor: joined.session.peerId,
        edgeId: joined.session.edgeId,
        writes: [{ ...poll, maxOfKind: 1 }],
      }),
    );
    if (result.type !== 'changed' || result.events[0] === undefined) throw new Error('nothing changed');
    const [changed] = result.events;
    const opened = { type: 'poll.opened', options: [{ text: 'yes', votes: [1, null] }] };
    const told = { id: `${changed.id.split('-')[0]}-999`, previousId: changed.id, event: opened };
    const { log, meta } = KEYS.room(roomId);
    const seal = new PublicationSeal(KeyRing.derive([TEST_CLUSTER_SECRET], 'publication'));
    const socketRoom = `plenary-meeting-room:${roomId}`;
    const channel = `plenary:socket.io#/#${socketRoom}#`;
    await askServer(cluster.redis.url, async (redis) => {
      await redis.xadd(log, told.id, 'previousId', told.previousId, 'event', JSON.stringify(opened));
      await redis.hset(meta, 'lastEventId', told.id);
      for (const event of [changed, told]) {
        const packet = { type: 2, data: ['event', event], nsp: '/' };
        const data = { packet, opts: { rooms: [socketRoom], except: [], flags: {} } };
        const publication = JSON.stringify({ uid: '0123456789abcdef', nsp: '/', type: 3, data });
        await redis.spublish(channel, seal.seal(channel, publication));
      }
    });
    const events = await waitFor('both events', () => {
      const notices = ann.notices.filter(({ name }) => name === 'event').map(({ payload }) => payload);
      return notices.length >= 3 && notices;
    });
    expect(events.slice(-2)).toEqual([changed, told]);
    // Which is no event of this release, as the client of the tests minds.
    expect(ann.malformed.splice(0)).toEqual(['event']);
    const missed = await ann.raw('sync', { afterEventId: joined.room.lastEventId });
    expect(missed).toEqual({ ok: true, data: { type: 'events', events: [changed, told] } });
    const [entry] = result.entries;
    expect((await snapshotFor(ann)).entries).toEqual([entry]);
    expect((await join(0, 'later', 'Bob')).joined.room.entries).toEqual([entry]);
    ann.malformed.splice(0);
  });
});
