/** What operators see of tenants' rooms and take away from their people, on real edges. */
import {
  ADMIN_PEOPLE_PATH,
  ADMIN_REVOKE_PATH,
  ADMIN_ROOMS_PATH,
  askAdmin,
  signJoinToken,
} from '@plenary/cluster';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEST_ADMIN_TOKEN, TEST_API_KEY, TEST_API_SECRET } from '../testing/edge-process.ts';
import type { EdgeProcess } from '../testing/edge-process.ts';
import { joinRequest, testToken } from '../testing/test-client.ts';
import type { TestClient } from '../testing/test-client.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { waitFor } from '../testing/wait-for.ts';

const OTHER = 'other-key';
const OTHER_SECRET = 'the-api-secret-of-another-tenant-of-the-tests';
/** Of a tenant whose people nobody but the test of the counts lets in. */
const COUNTED = 'counted-key';
const COUNTED_SECRET = 'the-api-secret-of-a-third-tenant-of-the-tests';

describe('an operator', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start({
      edges: 2,
      mediaNodes: 1,
      edgeSettings: {
        PLENARY_API_KEYS: `${TEST_API_KEY}:${TEST_API_SECRET},${OTHER}:${OTHER_SECRET},${COUNTED}:${COUNTED_SECRET}`,
      },
    });
  });
  afterEach(() => cluster.closeClients());
  afterAll(async () => cluster.stop());

  async function ask(edge: EdgeProcess, path: string, body: unknown): Promise<unknown> {
    const asked = { method: 'POST', path, body: JSON.stringify(body) };
    const { status, body: reply } = await askAdmin({ url: edge.operatorUrl }, [TEST_ADMIN_TOKEN], asked);
    return status === 200 ? reply : status;
  }

  const tokenOf = async (tenant: string, room: string, sub: string): Promise<string> =>
    tenant !== TEST_API_KEY
      ? signJoinToken(tenant, tenant === COUNTED ? COUNTED_SECRET : OTHER_SECRET, {
          sub,
          room,
          role: 'speaker',
          publish: [],
        })
      : testToken(room, { sub });
  async function enter(edgeIndex: number, tenant: string, room: string, sub: string) {
    const client = await cluster.client(edgeIndex);
    const token = await tokenOf(tenant, room, sub);
    return { client, token, joined: await client.join(room, { token }) };
  }
  const byeOf = async (client: TestClient): Promise<string> => (await client.notice('bye')).code;

  it('[OP4] sees the rooms and people of each tenant apart, by the edge that they are on', async () => {
    await enter(0, TEST_API_KEY, 'seen', 'ann');
    await enter(0, OTHER, 'seen', 'ann');
    await enter(1, OTHER, 'seen', 'ben');
    const rooms = await ask(cluster.edge(0), ADMIN_ROOMS_PATH, {});
    expect(rooms).toEqual({
      edgeId: 'edge-1',
      rooms: [
        { tenant: OTHER, room: 'seen', sessions: 1 },
        { tenant: TEST_API_KEY, room: 'seen', sessions: 1 },
      ],
      leftOut: 0,
    });
    const theirs = await ask(cluster.edge(0), ADMIN_ROOMS_PATH, { tenant: OTHER });
    expect(theirs).toMatchObject({ rooms: [{ tenant: OTHER, room: 'seen' }] });
    const people = await ask(cluster.edge(1), ADMIN_PEOPLE_PATH, { tenant: OTHER, room: 'seen' });
    expect(people).toMatchObject({ people: [{ person: 'ben', role: 'speaker', isConnected: true }] });
    expect(
      await ask(cluster.edge(1), ADMIN_PEOPLE_PATH, { tenant: TEST_API_KEY, room: 'seen' }),
    ).toMatchObject({
      people: [],
    });
    for (const wrong of [{ tenant: 7 }, { tenant: 'a/b' }, [], 'x', { tenant: OTHER, roon: 'seen' }])
      expect(await ask(cluster.edge(0), ADMIN_ROOMS_PATH, wrong)).toBe(400);
  });

  it('[OP14] [RJ4] [RJ16] takes a person out of a room: they go, stay out by every token, and nobody else notices', async () => {
    const ann = await enter(0, TEST_API_KEY, 'kicked', 'ann');
    const ben = await enter(1, TEST_API_KEY, 'kicked', 'ben');
    const namesake = await enter(0, OTHER, 'kicked', 'ann');
    const request = { tenant: TEST_API_KEY, room: 'kicked', person: 'ann', end: true };
    expect(await ask(cluster.edge(1), ADMIN_REVOKE_PATH, request)).toEqual({ edgeId: 'edge-2', ended: 0 });
    expect(await ask(cluster.edge(0), ADMIN_REVOKE_PATH, request)).toEqual({ edgeId: 'edge-1', ended: 1 });
    expect(await byeOf(ann.client)).toBe('access_revoked');
    await ben.client.event(
      (event) => event.type === 'peer.left' && event.reason === 'kicked',
      'that she was taken out',
    );
    const again = await cluster.client(1);
    const { rejoinToken = '' } = ann.joined.session;
    const proof = await ann.client.key.proveRejoin(again.socket.id ?? '', rejoinToken);
    for (const refused of [
      await joinRequest('kicked', { token: ann.token }),
      await joinRequest('kicked', { token: await tokenOf(TEST_API_KEY, 'kicked', 'ann') }),
      await joinRequest('kicked', { token: rejoinToken, proof, sessionKey: ann.client.key.jwk }),
    ])
      expect(await again.verdict('join', refused)).toBe('access_revoked');
    const resume = await again.resumeRequest(ann.client, ann.joined.session, ann.joined.room.lastEventId);
    expect(await again.verdict('resume', resume)).toBe('session_gone');
    for (const { client } of [ben, namesake]) {
      expect(client.noticesOf('bye')).toEqual([]);
      await client.call('chat.post', { requestId: 'r', text: 'still here' });
    }
  });

  it('[RJ16] without --end who is in stays, and comes back by none of the older tokens', async () => {
    const ann = await enter(0, TEST_API_KEY, 'stays', 'ann');
    const request = { tenant: TEST_API_KEY, person: 'ann', end: false };
    expect(await ask(cluster.edge(0), ADMIN_REVOKE_PATH, request)).toEqual({ edgeId: 'edge-1', ended: 0 });
    await ann.client.call('chat.post', { requestId: 'r', text: 'still here' });
    const again = await cluster.client(1);
    expect(await again.verdict('join', await joinRequest('stays', { token: ann.token }))).toBe(
      'access_revoked',
    );
  });

  it('[OP17] is told of an API key that nobody has, instead of having taken nothing away', async () => {
    for (const request of [
      { tenant: 'acmee', end: true },
      { end: true },
      { tenant: OTHER },
      { tenant: OTHER, end: 1 },
    ])
      expect([400, 404]).toContain(await ask(cluster.edge(0), ADMIN_REVOKE_PATH, request));
  });

  it('[OP16] reaches whose edge died a moment ago, as soon as they come up elsewhere', async () => {
    const doomed = await cluster.addEdge('edge-3', {
      PLENARY_API_KEYS: `${TEST_API_KEY}:${TEST_API_SECRET},${OTHER}:${OTHER_SECRET}`,
    });
    const eve = await enter(2, OTHER, 'dies', 'eve');
    doomed.kill('SIGKILL');
    await waitFor('her connection to break', () => eve.client.isClosed);
    const request = { tenant: OTHER, room: 'dies', end: true };
    expect(await ask(cluster.edge(0), ADMIN_REVOKE_PATH, request)).toEqual({ edgeId: 'edge-1', ended: 0 });
    const again = await cluster.client(0);
    const resume = await again.resumeRequest(eve.client, eve.joined.session, eve.joined.room.lastEventId);
    again.socket.emit('resume', resume);
    expect(await byeOf(again)).toBe('access_revoked');
  });

  it('[OP16] ends a session of a dead edge also on an edge that never heard of it', async () => {
    const doomed = await cluster.addEdge('edge-4', {
      PLENARY_API_KEYS: `${TEST_API_KEY}:${TEST_API_SECRET},${OTHER}:${OTHER_SECRET}`,
    });
    const eve = await enter(cluster.edges.indexOf(doomed), OTHER, 'unheard', 'eve');
    doomed.kill('SIGKILL');
    await waitFor('her connection to break', () => eve.client.isClosed);
    const request = { tenant: OTHER, room: 'unheard', end: true };
    expect(await ask(cluster.edge(0), ADMIN_REVOKE_PATH, request)).toEqual({ edgeId: 'edge-1', ended: 0 });
    // As an edge that was down at that time.
    const again = await cluster.client(1);
    const resume = await again.resumeRequest(eve.client, eve.joined.session, eve.joined.room.lastEventId);
    again.socket.emit('resume', resume);
    expect(await byeOf(again)).toBe('access_revoked');
    expect(await ask(cluster.edge(1), ADMIN_PEOPLE_PATH, { tenant: OTHER, room: 'unheard' })).toMatchObject({
      people: [],
    });
  });

  it('[TN6] counts sessions, rooms and joins by tenant', async () => {
    const edge = cluster.edge(0);
    expect(await edge.metric('plenary_edge_tenant_rooms', `"${COUNTED}"`)).toBe(0);
    await enter(0, COUNTED, 'counted', 'cyd');
    await enter(0, COUNTED, 'counted', 'dan');
    expect(await edge.metric('plenary_edge_tenant_sessions', `"${COUNTED}"`)).toBe(2);
    expect(await edge.metric('plenary_edge_tenant_rooms', `"${COUNTED}"`)).toBe(1);
    expect(await edge.metric('plenary_edge_tenant_joins_total', `tenant="${COUNTED}",result="ok"`)).toBe(2);
    const stranger = await cluster.client(0);
    await stranger.verdict('join', await joinRequest('counted', { token: 'a.b.c' }));
    const text = await (await fetch(`${edge.operatorUrl}/metrics`)).text();
    const tenants = [...text.matchAll(/plenary_edge_tenant_\w+\{tenant="([^"]+)"/g)].map(([, name]) => name);
    expect(new Set(tenants)).toEqual(new Set([TEST_API_KEY, OTHER, COUNTED]));
  });
});
