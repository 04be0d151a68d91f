import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { joinRequest } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

/** More than a machine stands still between the end of a connection and the resume, and short enough to be waited for. */
const RESUME_WITHIN_MS = 6_000;

let cluster: TestCluster;
beforeAll(async () => {
  const edgeSettings = { PLENARY_RESUME_WITHIN_MS: String(RESUME_WITHIN_MS) };
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 2, edgeSettings });
});
afterEach(() => cluster.closeClients());
afterAll(async () => cluster.stop());

describe('a meeting over two edges', () => {
  it('serves on uWebSockets.js', async () => {
    expect(await cluster.edge(0).metric('plenary_edge_server', 'uws')).toBe(1);
  });

  it('[SE3] a join gives the session, the room with oneself in it, and media', async () => {
    const ann = await cluster.client(0);
    const joined = await ann.join('solo', { displayName: '  Ann  ' });
    expect(joined.session).toMatchObject({
      roomId: 'solo',
      displayName: 'Ann',
      role: 'speaker',
      edgeId: 'edge-1',
    });
    expect(joined.room.peers.map((peer) => peer.peerId)).toEqual([joined.session.peerId]);
    expect(joined.media.sendTransport).toBeDefined();
    expect(joined.media.consumers).toEqual([]);
    const hints = await waitFor('both edges to be named', async () => {
      const known = (await (await fetch(`${cluster.edge(0).url}/api/edges`)).json()) as { edges: unknown[] };
      return known.edges.length === 2 && known.edges;
    });
    expect(hints).toMatchObject([{ edgeId: 'edge-1' }, { edgeId: 'edge-2' }]);
  });

  it('[SE12][LC6] people hear of an edge that comes, and of one that goes, which ends no connection but its own', async () => {
    const ann = await cluster.client(0);
    await ann.join('news');
    const told = (ids: readonly string[]): boolean =>
      ann
        .noticesOf('edges')
        .some(({ edges }) => JSON.stringify(edges.map(({ edgeId }) => edgeId)) === JSON.stringify(ids));
    const third = await cluster.addEdge('edge-3');
    await waitFor('news of the third edge', () => told(['edge-1', 'edge-2', 'edge-3']));
    await third.stop();
    await waitFor('news that it is gone', () => ann.noticesOf('edges').at(-1)?.edges.length === 2);
    expect(ann.isClosed).toBe(false);
  });

  it('[SE10] people on two edges see each other join, publish, mute, talk and leave, in one order', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    const annJoined = await ann.join('both');
    const { trackId } = await ann.publish(annJoined.media, 'mic');
    const bobJoined = await bob.join('both', { displayName: 'Bob' });
    expect(bobJoined.room.peerCount).toBe(2);
    expect(bobJoined.media.consumers.map((consumer) => consumer.trackId)).toEqual([trackId]);
    await ann.event(
      (event) => event.type === 'peer.joined' && event.peer.displayName === 'Bob',
      'Bob joined',
    );

    const bobTrack = await bob.publish(bobJoined.media, 'mic');
    await ann.event(
      (event) => event.type === 'track.published' && event.track.trackId === bobTrack.trackId,
      'track',
    );
    const subscribed = await ann.call('subscribe', { trackIds: [bobTrack.trackId, trackId, 'nobody'] });
    expect(subscribed.consumers.map((consumer) => consumer.trackId)).toEqual([bobTrack.trackId]);
    expect(subscribed.failed.map((failure) => [failure.trackId, failure.error.code])).toEqual([
      [trackId, 'forbidden'],
      ['nobody', 'track_not_found'],
    ]);

    await bob.call('track.pause', { trackId: bobTrack.trackId, paused: true });
    await ann.event((event) => event.type === 'track.changed' && event.paused, 'mute');
    const posted = await ann.call('chat.post', { requestId: 'c1', text: 'hello' });
    const again = await ann.call('chat.post', { requestId: 'c1', text: 'hello' });
    expect(again.message.messageId).toBe(posted.message.messageId);
    await bob.event((event) => event.type === 'chat.posted' && event.message.text === 'hello', 'chat');
    await bob.call('leave', {});
    await ann.event((event) => event.type === 'peer.left' && event.reason === 'left', 'Bob left');

    const events = ann.noticesOf('event').filter(({ id }) => id > annJoined.room.lastEventId);
    for (const [index, event] of events.slice(1).entries()) expect(event.previousId).toBe(events[index]?.id);
    const caughtUp = await ann.call('sync', { afterEventId: annJoined.room.lastEventId });
    expect(caughtUp).toEqual({ type: 'events', events });
    expect((await ann.call('roster.page', { cursor: '' })).peers).toHaveLength(1);
  });

  it('[SE2] a repeated join gives the same peer, on the same socket and on another edge', async () => {
    const request = await joinRequest('again');
    const [first, other] = [await cluster.client(0), await cluster.client(1)];
    const [one, two] = await Promise.all([first.call('join', request), first.call('join', request)]);
    expect(two.session.peerId).toBe(one.session.peerId);
    const elsewhere = await other.call('join', request);
    expect(elsewhere.session.peerId).toBe(one.session.peerId);
    expect(elsewhere.room.peerCount).toBe(1);
    expect((await first.notice('bye')).code).toBe('replaced');
  });

  it('[SE6] leaving frees the media and every key of the room', async () => {
    const ann = await cluster.client(0);
    const { session } = await ann.join('short');
    const hosts = (): boolean => cluster.mediaNodes.some((node) => node.peerIds.includes(session.peerId));
    expect(hosts()).toBe(true);
    await ann.call('leave', {});
    await waitFor('the media to be freed', () => !hosts());
    expect(
      (await cluster.ask(({ placements }) => placements.view(testRoom('short')))).occupancy.peerCount,
    ).toBe(0);
    await ann.join('short');
  });

  it('[SE4] a session whose connection broke is kept for a while, and then ends', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    await ann.join('broken');
    const { session } = await bob.join('broken');
    const brokeAt = performance.now();
    bob.close();
    await ann.event((event) => event.type === 'peer.left' && event.reason === 'connection_lost', 'Bob lost');
    expect(performance.now() - brokeAt).toBeGreaterThan(RESUME_WITHIN_MS - 100);
    await waitFor('the media to be freed', () =>
      cluster.mediaNodes.every((node) => !node.peerIds.includes(session.peerId)),
    );
  });

  it('[SE5] a session is resumed on another edge with its media untouched and nothing missed', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(0)];
    await ann.join('moving');
    const { session, room } = await bob.join('moving', { displayName: 'Bob' });
    bob.close();
    await ann.call('chat.post', { requestId: 'c1', text: 'while you were out' });
    const admissions = cluster.mediaNodes.flatMap((node) => node.callsOf('peer.admit')).length;
    const bobAgain = await cluster.client(1);
    const resumed = await bobAgain.resume(bob, session, room.lastEventId);
    expect(resumed.session).toMatchObject({ peerId: session.peerId, edgeId: 'edge-2', displayName: 'Bob' });
    expect(resumed.mediaAlive).toBe(true);
    expect(resumed.catchUp).toMatchObject({ type: 'events', events: [{ event: { type: 'chat.posted' } }] });
    expect(cluster.mediaNodes.flatMap((node) => node.callsOf('peer.admit'))).toHaveLength(admissions);
    // The old edge's time to resume passes, and nothing happens.
    await new Promise((resolve) => setTimeout(resolve, RESUME_WITHIN_MS + 1_000));
    await bobAgain.publish({ sendTransport: { id: 'send' } }, 'mic');
    expect(ann.noticesOf('event').map(({ event }) => event.type)).not.toContain('peer.left');
  });

  it('[SE5] a session that is taken up elsewhere says goodbye to its old connection', async () => {
    const [old, anew, same] = [await cluster.client(0), await cluster.client(1), await cluster.client(1)];
    const { session, room } = await old.join('two-tabs');
    const { session: renewed } = await anew.resume(old, session, room.lastEventId);
    expect((await old.notice('bye')).code).toBe('replaced');
    await same.resume(old, renewed, room.lastEventId);
    expect((await anew.notice('bye')).code).toBe('replaced');
    await waitFor('the old connections to close', () => old.isClosed && anew.isClosed);
  });

  it('[SE7] a session that was left does not resume', async () => {
    const [ann, again] = [await cluster.client(0), await cluster.client(1)];
    const { session, room } = await ann.join('left');
    await ann.call('leave', {});
    const request = await again.resumeRequest(ann, session, room.lastEventId);
    expect(await again.verdict('resume', request)).toBe('session_gone');
  });

  it('[LG7] clients hear now and then how far the log is', async () => {
    const ann = await cluster.client(0);
    const { room } = await ann.join('heads');
    expect((await ann.notice('head')).lastEventId >= room.lastEventId).toBe(true);
  });
});
