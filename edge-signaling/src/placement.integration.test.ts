import { networkInterfaces } from 'node:os';
import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import { peer, room, tenant } from '@plenary/cluster/testing/samples';
import { afterEach, describe, expect, it } from 'vitest';
import { TEST_API_KEY } from './testing/edge-process.ts';
import { joinRequest, testToken } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
afterEach(async () => cluster.stop());

/** Some machines have no IPv6 at all. */
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
const MEDIA = { rtpCapabilities: { codecs: [] }, publish: true };

/** A cluster with a media node in each datacenter, and edges in `gra`. */
async function startIn(
  datacenters: readonly string[],
  edges: number,
  settings: Record<string, string>,
): Promise<void> {
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
  for (const datacenter of datacenters) await cluster.addMediaNode(`node-${datacenter}`, datacenter);
  for (let index = 1; index <= edges; index += 1) await cluster.addEdge(`edge-${index}`, settings);
  await waitFor('every edge to hold a link to every media node', () =>
    cluster.mediaNodes.every((node) => node.linkCount === edges),
  );
}

describe('datacenters', () => {
  const roundTrips = [
    { datacenter: 'rbx', roundTripMs: 40 },
    { datacenter: 'sbg', roundTripMs: 9 },
  ];

  it('[PL9] media opens where the token says, else near the client, else at the edge, else as configured', async () => {
    await startIn(['gra', 'sbg', 'rbx'], 1, { PLENARY_DATACENTER_ORDER: 'rbx,sbg' });
    const [gra, sbg, rbx] = cluster.mediaNodes;
    const placed = async (name: string, changes: Record<string, unknown>): Promise<string> =>
      (await (await cluster.client()).join(name, changes)).media.datacenter;
    const token = await testToken('hint', { datacenter: 'rbx' });
    expect(await placed('hint', { token, roundTrips })).toBe('rbx');
    expect(await placed('measured', { roundTrips })).toBe('sbg');
    expect(await placed('own', {})).toBe('gra');
    if (gra === undefined || sbg === undefined || rbx === undefined) throw new Error('three nodes');
    sbg.refuseAdmissions = new PlenaryError('no_media_node');
    expect(await placed('next-nearest', { roundTrips })).toBe('rbx');
    sbg.refuseAdmissions = undefined;
    gra.refuseAdmissions = new PlenaryError('no_media_node');
    expect(await placed('configured', {})).toBe('rbx');
  });

  it('[PL9] what the client measured counts for media that is opened anew, on another edge as well', async () => {
    await startIn(['gra', 'sbg', 'rbx'], 2, {});
    const ann = await cluster.client(0);
    const joined = await ann.join('anew', { roundTrips });
    ann.close();
    const again = await cluster.client(1);
    await again.resume(ann, joined.session, joined.room.lastEventId);
    await cluster.mediaNode(1).kill();
    await again.notice('media.lost');
    expect((await again.call('media.open', MEDIA)).datacenter).toBe('rbx');
  });

  it('[PL27] an edge answers a probe of any site', async () => {
    await startIn(['gra'], 1, {});
    const answer = await fetch(`${cluster.edge(0).url}/api/ping`, {
      headers: { origin: 'https://x.example' },
    });
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    for (const path of ['/api/ping', '/api/edges']) {
      const { headers } = await fetch(`${cluster.edge(0).url}${path}`);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('timing-allow-origin')).toBe('*');
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });

  it.skipIf(!hasIpv6)('[PL27] an edge is reached, and told of, by a literal IPv6 address', async () => {
    await startIn(['gra'], 0, {});
    const { url } = await cluster.addEdge('edge-v6', {}, '::1');
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    const client = await cluster.client(0, { origin: url });
    const { session } = await client.join('six');
    // At the join, or as soon as the edge has read its own announcement.
    const { edges } = session.edges.length > 0 ? session : await client.notice('edges');
    expect(edges.map((edge) => edge.url)).toEqual([url]);
    expect((await fetch(`${url}/api/ping`)).status).toBe(200);
  });
});

describe('limits of nodes', () => {
  it.each([
    ['[PL7] joins', { PLENARY_JOINS_PER_NODE: '2' }],
    ['[PL8] people of a room', { PLENARY_PACKING_LIMIT: '2', PLENARY_ROOM_PEERS_PER_NODE: '2' }],
  ])('%s: the third goes to another node', async (_name, settings) => {
    await startIn(['gra'], 0, {});
    const other = await cluster.addMediaNode('node-other', 'gra');
    // So that only a limit sends anybody there.
    other.workerCpu = 0.5;
    await other.announce();
    await cluster.addEdge('edge-1', settings);
    // All of them are there before the first one joins: joins count for some seconds.
    const clients = [await cluster.client(), await cluster.client(), await cluster.client()];
    const nodes: string[] = [];
    for (const client of clients) nodes.push((await client.join('storm')).media.mediaNodeId);
    expect(nodes).toEqual(['node-gra', 'node-gra', 'node-other']);
  });
});

describe('limits of tenants', () => {
  const LIMITS = { PLENARY_TENANT_LIMITS: `${TEST_API_KEY}=2/1` };
  /** So long that nothing lapses during a test. */
  const LONG_LEASE = { PLENARY_LEASE_MS: '60000' };
  const ACME = tenant(TEST_API_KEY);

  /** Whether the tenant has its two people, as the store counts. Leaves nothing. */
  const isFull = async (): Promise<boolean> => {
    const probe = { roomId: room('probe'), peerId: peer('probe') };
    try {
      await cluster.store.tenants.claim(ACME, probe, { maxPeers: 2, maxRooms: undefined }, 1);
      return false;
    } catch (thrown) {
      const { code } = toPlenaryError(thrown);
      if (code === 'tenant_limit_reached') return true;
      if (code === 'store_unavailable') return false;
      throw thrown;
    }
  };
  const refusal = async (edge: number, name: string): Promise<string> =>
    (await cluster.client(edge)).verdict('join', await joinRequest(name));

  it('[PL12] one too many is refused on every edge, and let in when somebody has left', async () => {
    await startIn(['gra'], 2, { ...LIMITS, ...LONG_LEASE });
    const ann = await cluster.client(0);
    await ann.join('one');
    expect(await refusal(1, 'two')).toBe('tenant_limit_reached');
    const request = await joinRequest('one');
    await (await cluster.client(1)).call('join', request);
    expect(await refusal(0, 'one')).toBe('tenant_limit_reached');
    // A repeat is no newcomer.
    await (await cluster.client(0)).call('join', request);
    await ann.call('leave', {});
    await waitFor('the place to be free', async () => !(await isFull()));
    expect(await refusal(0, 'one')).toBe('ok');
  });

  it('[PL28] a join that fails frees its claim', async () => {
    await startIn(['gra'], 1, { ...LIMITS, ...LONG_LEASE });
    await (await cluster.client()).join('one');
    cluster.mediaNode(0).refuseAdmissions = new PlenaryError('no_media_node');
    expect(await refusal(0, 'one')).toBe('no_media_node');
    await waitFor('the place to be free', async () => !(await isFull()));
  });

  it('[PL28] a join that is refused before it is placed frees its claim', async () => {
    await startIn(['gra'], 1, { ...LIMITS, ...LONG_LEASE, PLENARY_MAX_PEERS_PER_ROOM: '1' });
    await (await cluster.client()).join('one');
    expect(await refusal(0, 'one')).toBe('room_full');
    await waitFor('the place to be free', async () => !(await isFull()));
  });

  it('[PL13] [PL29] a session taken up on another edge keeps its claim; what nobody holds any more lapses', async () => {
    await startIn(['gra'], 2, {
      ...LIMITS,
      PLENARY_RESUME_WITHIN_MS: '5000',
      PLENARY_LEASE_MS: '3000',
    });
    const [ann, bob] = [await cluster.client(0), await cluster.client(0)];
    const joined = await ann.join('one');
    await bob.join('one');
    await waitFor('both to be counted', isFull);
    cluster.edge(0).kill('SIGKILL');
    await cluster.edge(0).exited();
    await (await cluster.client(1)).resume(ann, joined.session, joined.room.lastEventId);
    // Bob’s claim lapses a lease after his edge died; Ann’s is renewed by her new one.
    await waitFor('the claim of whom nobody holds to lapse', async () => !(await isFull()));
    expect(await refusal(1, 'two')).toBe('tenant_limit_reached');
    expect(await refusal(1, 'one')).toBe('ok');
    await waitFor('both to be counted', isFull);
  });

  it('[PL14] a store that goes away, and forgets, ends no session, and hears of the claims again', async () => {
    await startIn(['gra'], 1, LIMITS);
    const clients = [await cluster.client(), await cluster.client()];
    for (const client of clients) await client.join('one');
    await cluster.redis.kill();
    await waitFor('the edge to notice', async () => (await cluster.edge(0).status('/ready')) === 503);
    await cluster.redis.restart();
    await cluster.untilServed();
    await waitFor('the claims to be there again', isFull);
    expect(clients.some((client) => client.isClosed)).toBe(false);
    expect(await refusal(0, 'one')).toBe('tenant_limit_reached');
  });
});
