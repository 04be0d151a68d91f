import { randomUUID } from 'node:crypto';
import { KeyRing, signJoinToken, signSessionToken, verifySessionToken } from '@plenary/cluster';
import type { TrackSource } from '@plenary/cluster/protocol';
import { room } from '@plenary/cluster/testing/samples';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEST_API_KEY, TEST_API_SECRET, TEST_CLUSTER_SECRET } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { joinRequest, testToken } from './testing/test-client.ts';
import { waitFor } from './testing/wait-for.ts';

const OTHER = 'other-key';
const SESSION_KEYS = KeyRing.derive([TEST_CLUSTER_SECRET], 'session-token');
const OTHER_SECRET = 'the-api-secret-of-another-tenant-of-the-tests';

/** A join token of the other tenant, which differs from that of {@link testToken} in nothing else. */
async function othersToken(name: string, changes: Record<string, unknown> = {}): Promise<string> {
  const publish: TrackSource[] = ['microphone', 'camera'];
  return signJoinToken(OTHER, OTHER_SECRET, { sub: 'ann', room: name, role: 'speaker', publish, ...changes });
}

describe('two tenants with rooms of one name', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start({
      edges: 2,
      mediaNodes: 1,
      edgeSettings: {
        PLENARY_API_KEYS: `${TEST_API_KEY}:${TEST_API_SECRET},${OTHER}:${OTHER_SECRET}`,
        PLENARY_MAX_PEERS_PER_ROOM: '2',
        PLENARY_GUESTS: 'on',
        PLENARY_GUEST_TENANT: TEST_API_KEY,
        PLENARY_GUEST_ROOMS: 'open-*',
      },
    });
  });
  afterEach(() => cluster.closeClients());
  afterAll(async () => cluster.stop());

  /** Ann of each tenant, on different edges: same subject, same request. */
  async function bothAnns(name: string) {
    const requestId = randomUUID();
    const [ours, theirs] = [await cluster.client(0), await cluster.client(1)];
    const here = await ours.join(name, { requestId, token: await testToken(name, { sub: 'ann' }) });
    const there = await theirs.join(name, { requestId, token: await othersToken(name) });
    return { ours, theirs, here, there };
  }

  it('[TN1] neither roster nor media of one are in the other, and each has its own limit', async () => {
    const { ours, here, there } = await bothAnns('standup');
    expect([here.room.peerCount, there.room.peerCount]).toEqual([1, 1]);
    expect(here.session.peerId).not.toBe(there.session.peerId);
    const { placements } = cluster.store;
    for (const [tenantId, { session }] of [
      [TEST_API_KEY, here],
      [OTHER, there],
    ] as const) {
      const placed = await placements.list(room('standup', tenantId));
      expect(placed.map(({ peerId }) => peerId)).toEqual([session.peerId]);
    }

    // Two may be in a room: the other tenant's Ann takes nobody's place.
    const bob = await cluster.client(1);
    const bobs = await bob.join('standup');
    expect(bobs.room.peers.map(({ peerId }) => peerId).sort()).toEqual(
      [here.session.peerId, bobs.session.peerId].sort(),
    );
    const cyd = await cluster.client(1);
    expect(await cyd.verdict('join', { ...(await joinRequest('standup')), sessionKey: cyd.key.jwk })).toBe(
      'room_full',
    );

    const { trackId } = await ours.publish(here.media, 'microphone');
    await bob.event((event) => event.type === 'track.published', 'the microphone');
    const dan = await cluster.client(0);
    const joined = await dan.join('standup', { token: await othersToken('standup', { sub: 'dan' }) });
    expect(joined.room.tracks).toEqual([]);
    // A track's id opens no door: it is none of this room.
    const { failed, consumers } = await dan.call('subscribe', { trackIds: [trackId] });
    expect(consumers).toEqual([]);
    expect(failed).toMatchObject([{ trackId, error: { code: 'track_not_found' } }]);
  });

  it('[TN1] neither events nor chat of one are told in the other', async () => {
    const { ours, theirs, here } = await bothAnns('chat');
    await ours.call('chat.post', { requestId: 'first', text: 'for us' });
    await theirs.call('chat.post', { requestId: 'first', text: 'for them' });
    const toldOf = (client: typeof ours): string[] =>
      client
        .noticesOf('event')
        .flatMap(({ event }) => (event.type === 'chat.posted' ? [event.message.text] : []));
    await waitFor('each to hear their own', () => toldOf(ours).length + toldOf(theirs).length >= 2);
    // What would have gone astray came before this, which goes the same way.
    await ours.call('chat.post', { requestId: 'last', text: 'once more' });
    await theirs.call('chat.post', { requestId: 'last', text: 'once more' });
    await waitFor('the last', () => toldOf(ours).length >= 2 && toldOf(theirs).length >= 2);
    expect([toldOf(ours), toldOf(theirs)]).toEqual([
      ['for us', 'once more'],
      ['for them', 'once more'],
    ]);
    const caughtUp = await theirs.call('sync', { afterEventId: here.room.lastEventId });
    expect(JSON.stringify(caughtUp)).not.toContain('for us');
  });

  it('[TN2] a session resumes with its own tenant only', async () => {
    const { ours, theirs, here, there } = await bothAnns('resume');
    await ours.call('chat.post', { requestId: 'one', text: 'ours' });
    const again = await cluster.client(1);
    const resumed = await again.resume(ours, here.session, here.room.lastEventId);
    expect(resumed.session.peerId).toBe(here.session.peerId);
    expect(resumed.catchUp).toMatchObject({ events: [{ event: { type: 'chat.posted' } }] });

    // One that names the other tenant's room with this peer: signed as the cluster does, and yet nobody is there.
    const claims = await verifySessionToken(SESSION_KEYS, there.session.sessionToken);
    const moved = await signSessionToken(SESSION_KEYS, { ...claims, peer: here.session.peerId });
    const stray = await cluster.client(0);
    const request = await stray.resumeRequest(
      theirs,
      { ...there.session, sessionToken: moved },
      there.room.lastEventId,
    );
    expect(await stray.verdict('resume', request)).toBe('session_gone');
    expect(await theirs.verdict('session.confirm', { sessionToken: here.session.sessionToken })).toBe(
      'token_invalid',
    );
  });

  it('[TN5] a session says whether guests get into its room, also after a resume', async () => {
    const openTo = async (name: string): Promise<unknown[]> => {
      const { here, there, ours } = await bothAnns(name);
      const again = await cluster.client(1);
      const resumed = await again.resume(ours, here.session, here.room.lastEventId);
      return [here, there, resumed].map(({ session }) => session.openToGuests);
    };
    expect(await openTo('open-house')).toEqual([true, false, true]);
    expect(await openTo('closed')).toEqual([false, false, false]);
  });

  it('[TN3] clients are told the name of their room and nothing of its tenant', async () => {
    const { ours, theirs, here, there } = await bothAnns('names');
    await ours.publish(here.media, 'microphone');
    await theirs.event((event) => event.type === 'peer.joined', 'its own');
    expect([here.session.roomId, there.session.roomId]).toEqual(['names', 'names']);
    const { sessionToken: _, ...session } = there.session;
    for (const told of [theirs.notices, { ...there, session }])
      expect(JSON.stringify(told)).not.toContain(OTHER);
  });
});
