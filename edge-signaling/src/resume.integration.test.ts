/** Who may resume a session, and with what. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { joinRequest, TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
});
afterEach(() => cluster.closeClients());
afterAll(async () => cluster.stop());

/** Ann in a room, on the first edge. */
async function annIn(room: string) {
  const ann = await cluster.client(0);
  return { ann, ...(await ann.join(room)) };
}

describe('the key of a session', () => {
  it('[SK1] a copied token does not resume without it, and its session goes on', async () => {
    const { ann, session, room } = await annIn('copied');
    const thief = await cluster.client(1);
    const request = await thief.resumeRequest(thief, session, room.lastEventId);
    expect(await thief.verdict('resume', request)).toBe('proof_invalid');
    expect(await thief.verdict('resume', { ...request, proof: 'A'.repeat(86) })).toBe('proof_invalid');
    expect(await thief.verdict('resume', { ...request, proof: '' })).toBe('malformed_message');
    await ann.call('chat.post', { requestId: 'c1', text: 'still here' });
    expect(ann.isClosed).toBe(false);
  });

  it('[SK1] a recorded resume is worth nothing on another connection', async () => {
    const { ann, session, room } = await annIn('recorded');
    ann.close();
    const again = await cluster.client(0);
    const request = await again.resumeRequest(ann, session, room.lastEventId);
    const [sameEdge, otherEdge] = [await cluster.client(0), await cluster.client(1)];
    expect(await sameEdge.verdict('resume', request)).toBe('proof_invalid');
    expect(await otherEdge.verdict('resume', request)).toBe('proof_invalid');
    expect((await again.call('resume', request)).mediaAlive).toBe(true);
  });

  it('[SK1] a signature over one token is none over another', async () => {
    const { ann, session, room } = await annIn('other-token');
    const again = await cluster.client(1);
    const { session: renewed } = await again.resume(ann, session, room.lastEventId);
    const last = await cluster.client(1);
    const request = await last.resumeRequest(ann, session, room.lastEventId);
    const swapped = { ...request, sessionToken: renewed.sessionToken };
    expect(await last.verdict('resume', swapped)).toBe('proof_invalid');
  });

  it('[SK5] who changes the network resumes from the new address', async () => {
    const { ann, session, room } = await annIn('roaming');
    ann.close();
    const elsewhere = await TestClient.connect(cluster.edge(1).url, {}, '127.0.0.2');
    const resumed = await elsewhere.resume(ann, session, room.lastEventId);
    expect(resumed.session.peerId).toBe(session.peerId);
    elsewhere.close();
  });

  it('[SK6] [SK7] a join without a key is refused; one repeated with another key is another person', async () => {
    const [first, second] = [await cluster.client(0), await cluster.client(1)];
    expect(await first.verdict('join', await joinRequest('keys', { sessionKey: undefined }))).toBe(
      'malformed_message',
    );
    const request = await joinRequest('keys');
    const { session } = await first.call('join', request);
    const other = await second.call('join', { ...request, sessionKey: second.key.jwk });
    expect(other.session.peerId).not.toBe(session.peerId);
    expect(first.noticesOf('bye')).toEqual([]);
  });
});

describe('the tokens of a session', () => {
  it('[SK2] one that was used and renewed does not resume again once the new one was confirmed', async () => {
    const { ann, session, room } = await annIn('replayed');
    const again = await cluster.client(1);
    const { session: renewed } = await again.resume(ann, session, room.lastEventId);
    await again.call('session.confirm', { sessionToken: renewed.sessionToken });
    const replay = await cluster.client(0);
    const request = await replay.resumeRequest(ann, session, room.lastEventId);
    expect(await replay.verdict('resume', request)).toBe('token_replayed');
    // A refused one changed nothing: the session goes on where it is, and resumes by its newest token.
    await again.call('chat.post', { requestId: 'c1', text: 'still here' });
    expect(again.noticesOf('bye')).toEqual([]);
    const last = await cluster.client(0);
    expect((await last.resume(ann, renewed, room.lastEventId)).mediaAlive).toBe(true);
  });

  it('[SK2] one does not resume again once a newer one was used', async () => {
    const { ann, session, room } = await annIn('overtaken');
    const again = await cluster.client(1);
    const { session: second } = await again.resume(ann, session, room.lastEventId);
    const third = await cluster.client(0);
    await third.resume(ann, second, room.lastEventId);
    const replay = await cluster.client(1);
    const request = await replay.resumeRequest(ann, session, room.lastEventId);
    expect(await replay.verdict('resume', request)).toBe('token_replayed');
  });

  it('[SK10] one whose answer was lost resumes again', async () => {
    const { ann, session, room } = await annIn('lost-answer');
    const unheard = await cluster.client(0);
    await unheard.resume(ann, session, room.lastEventId);
    unheard.close();
    const again = await cluster.client(1);
    expect((await again.resume(ann, session, room.lastEventId)).mediaAlive).toBe(true);
  });

  it('[SK12] only a token of this session is confirmed', async () => {
    const { ann, session } = await annIn('confirms');
    const { session: other } = await annIn('confirms');
    const { sessionToken } = other;
    expect(await ann.verdict('session.confirm', { sessionToken })).toBe('token_invalid');
    expect(await ann.verdict('session.confirm', { sessionToken: 'x' })).toBe('token_invalid');
    await ann.call('session.confirm', { sessionToken: session.sessionToken });
  });

  it('[SK3] one of another room does not resume', async () => {
    const { ann, session, room } = await annIn('here');
    await annIn('there');
    const again = await cluster.client(1);
    const request = await again.resumeRequest(ann, { ...session, roomId: 'there' }, room.lastEventId);
    expect(await again.verdict('resume', request)).toBe('token_wrong_room');
  });

  it('[SK14] [SE7][SE7] none resumes after a leave or a removal', async () => {
    const { ann, session, room } = await annIn('over');
    await ann.call('leave', {});
    const again = await cluster.client(1);
    const request = await again.resumeRequest(ann, session, room.lastEventId);
    expect(await again.verdict('resume', request)).toBe('session_gone');

    const { ann: bob, session: bobs, room: bobsRoom } = await annIn('removed');
    const { placements, roomLog } = cluster.store;
    const bobsRoomId = testRoom(bobs.roomId);
    const placed = (await placements.list(bobsRoomId)).find(({ peerId }) => peerId === bobs.peerId);
    if (placed === undefined) throw new Error('Bob is placed.');
    await roomLog.removePeer(bobsRoomId, bobs.peerId, placed.epoch, 'kicked');
    bob.close();
    const bobAgain = await cluster.client(1);
    const kicked = await bobAgain.resumeRequest(bob, bobs, bobsRoom.lastEventId);
    expect(await bobAgain.verdict('resume', kicked)).toBe('session_gone');
    await waitFor(
      'nothing to be left',
      async () => (await placements.view(bobsRoomId)).occupancy.peerCount === 0,
    );
  });
});
