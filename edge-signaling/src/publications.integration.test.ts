import { edgeRecord } from '@plenary/cluster/testing/samples';
import { askServer } from '@plenary/cluster/testing/redis-process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KeyRing } from '@plenary/cluster';
import { TEST_CLUSTER_SECRET, testRoom } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';
import { PublicationSeal } from './transport/publication-seal.ts';

const EDGES = 'plenary:socket.io#/#';
const SOCKET_ROOM = `plenary-meeting-room:${testRoom('standup')}`;
const ROOM = `${EDGES}${SOCKET_ROOM}#`;
const SEAL = new PublicationSeal(KeyRing.derive([TEST_CLUSTER_SECRET], 'publication'));
const UID = '0123456789abcdef';
const broadcast = (data: unknown, rooms: unknown = [SOCKET_ROOM], more: object = {}): string =>
  JSON.stringify({
    uid: UID,
    nsp: '/',
    type: 3,
    data: { packet: { type: 2, data, nsp: '/' }, opts: { rooms, except: [], flags: {} }, ...more },
  });
const opts = { rooms: [], except: [], flags: {} };
const control = (type: number, data: unknown): string => JSON.stringify({ uid: UID, nsp: '/', type, data });

/** What somebody with a connection to Redis may publish, and every edge used to carry out. */
const ATTACKS: readonly (readonly [what: string, channel: string, message: string])[] = [
  ['a bye to everybody', EDGES, broadcast(['bye', { code: 'internal', message: 'x', retryable: false }], [])],
  ['a bye to a room', ROOM, broadcast(['bye', { code: 'internal', message: 'x', retryable: false }])],
  [
    'edges of the attacker',
    ROOM,
    broadcast(['edges', { edges: [{ edgeId: 'e', datacenter: 'd', url: 'http://evil' }] }]),
  ],
  ['a session token', ROOM, broadcast(['session.renewed', { sessionToken: 'x' }])],
  ['an event that is none', ROOM, broadcast(['event', { id: 'x', event: { type: 'chat.posted' } }])],
  [
    'an event of a known type in another shape',
    ROOM,
    broadcast(['event', { id: '1-1', previousId: '1-0', event: { type: 'peer.left', peerId: 'p' } }]),
  ],
  ['an event of no type', ROOM, broadcast(['event', { id: '1-1', previousId: '1-0', event: { type: 'X' } }])],
  ['an unknown notice', ROOM, broadcast(['constructor', {}])],
  ['speakers to everybody', EDGES, broadcast(['speakers', { mediaNodeId: 'n', speakers: [] }], [])],
  ['speakers on the wrong channel', EDGES, broadcast(['speakers', { mediaNodeId: 'n', speakers: [] }])],
  [
    'what asks for answers',
    ROOM,
    broadcast(['speakers', { mediaNodeId: 'n', speakers: [] }], [SOCKET_ROOM], { requestId: 'r' }),
  ],
  ['an end of all connections', EDGES, control(6, { opts, close: true })],
  ['sockets that join a room', EDGES, control(4, { opts, rooms: ['x'] })],
  ['sockets that leave their room', EDGES, control(5, { opts, rooms: [SOCKET_ROOM] })],
  ['a look at all sockets', EDGES, control(7, { opts, requestId: 'r' })],
  ['an event between servers', EDGES, control(9, { packet: ['connection', {}] })],
  ['one that asks for an answer', EDGES, control(9, { packet: ['edge.message', {}], requestId: 'r' })],
  ['an answer to nothing', EDGES, control(8, { requestId: 'r', sockets: [] })],
];

describe('what is published in Redis', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
  });
  afterEach(() => cluster.closeClients());
  afterAll(async () => cluster.stop());

  it('[NS4] [NS9] [NS10] reaches clients only as what an edge publishes there, and does nothing else', async () => {
    const [ann, idle] = [await cluster.client(), await cluster.client()];
    await ann.join('standup');
    const { url } = cluster.redis;
    const dropped = async (): Promise<number> =>
      cluster.edge(0).metric('plenary_edge_malformed_records_total', 'kind="publication"');
    const before = await dropped();
    // By somebody who has the cluster's secret, and is an edge therefore: the least of what holds.
    await askServer(url, async (redis) => {
      for (const [, channel, message] of ATTACKS) await redis.spublish(channel, SEAL.seal(channel, message));
    });
    await waitFor('all of them to be dropped', async () => (await dropped()) - before === ATTACKS.length);

    // They came before this, on the same way; what fits goes through, less what nobody knows of it.
    const speakers = { mediaNodeId: 'n', speakers: [], secret: 'x' };
    const fitting = SEAL.seal(ROOM, broadcast(['speakers', speakers]));
    await askServer(url, async (redis) => redis.spublish(ROOM, fitting));
    expect(await ann.notice('speakers')).toEqual({ mediaNodeId: 'n', speakers: [] });
    for (const name of ['bye', 'edges', 'session.renewed', 'constructor'])
      expect([...ann.notices, ...idle.notices].map((notice) => notice.name)).not.toContain(name);
    expect(ann.isClosed || idle.isClosed).toBe(false);
    await ann.call('chat.post', { requestId: 'c', text: 'all is well' });
    await ann.event((event) => event.type === 'chat.posted', 'the message, so that she is in her room');
    const output = await cluster.edge(0).logged('reading a publication');
    expect(output.match(/reading a publication/g)).toHaveLength(1);
  });

  it('[NS7] an edge that somebody else writes into the registry is told to no client', async () => {
    const ann = await cluster.client();
    await ann.join('standup');
    const evil = 'https://evil.example';
    await cluster.store.registry.announceEdge(edgeRecord('edge-0', { publicUrl: evil }), 60_000);
    await waitFor('the edge to say so', () =>
      cluster.edge(0).output.includes('does not prove in the registry that it is of this cluster'),
    );
    const told = await (await fetch(`${cluster.edge(0).url}/api/edges`)).text();
    const { session } = await (await cluster.client()).join('standup');
    expect(told).toContain(cluster.edge(0).url);
    expect(JSON.stringify([told, session.edges, ann.notices])).not.toContain(evil);
  });

  it('[NS5] [NS11] reaches nobody when no edge of this cluster published it there, however well it fits, and that is said', async () => {
    const ann = await cluster.client();
    const { session } = await ann.join('standup');
    const left = { type: 'peer.left', peerId: session.peerId, reason: 'kicked' };
    const text = broadcast(['event', { id: '9999999999999-0', previousId: '0-0', event: left }]);
    const attached = control(9, {
      packet: [
        'edge.message',
        {
          type: 'sessions.attached',
          // Later than any hold.
          sessions: [{ peerId: session.peerId, holdEpoch: 9_000_000_000_000_000 }],
          edgeId: 'edge-9',
        },
      ],
    });
    const another = new PublicationSeal(
      KeyRing.derive(['the secret of another cluster, here by mistake'], 'publication'),
    );
    const foreign = async (): Promise<number> =>
      cluster.edge(0).metric('plenary_edge_malformed_records_total', 'kind="foreign_publication"');
    const before = await foreign();
    const forged = [
      [ROOM, text],
      [ROOM, another.seal(ROOM, text)],
      [ROOM, SEAL.seal(EDGES, text)],
      [EDGES, attached],
      [EDGES, another.seal(EDGES, attached)],
    ] as const;
    await askServer(cluster.redis.url, async (redis) => {
      for (const [channel, message] of forged) await redis.spublish(channel, message);
    });
    await waitFor('all of them to be dropped', async () => (await foreign()) - before === forged.length);
    await ann.call('chat.post', { requestId: 'd', text: 'still here' });
    await ann.event((event) => event.type === 'chat.posted', 'the message');
    expect(ann.notices.map(({ name }) => name)).not.toContain('bye');
    expect(ann.noticesOf('event').map(({ event }) => event.type)).not.toContain('peer.left');
    const output = await cluster.edge(0).logged('another cluster uses this PLENARY_NAMESPACE');
    expect(output.match(/another cluster uses this PLENARY_NAMESPACE/g)).toHaveLength(1);
  });
});
