import { PlenaryError } from '@plenary/cluster';
import { askServer } from '@plenary/cluster/testing/redis-process';
import { afterEach, describe, expect, it } from 'vitest';
import { COUNTED_MEDIA } from './testing/scripted-media-node.ts';
import { joinRequest, testToken } from './testing/test-client.ts';
import { SHORT_LIVES, TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
afterEach(async () => cluster.stop());

const MEDIA = { rtpCapabilities: { codecs: [] }, publish: true };

describe('the store goes away', () => {
  it('[HL1] [HL18] refusing writes is being away: said in /ready and a metric, joins are retried, mutes work', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    const { media } = await ann.join('full');
    const { trackId } = await ann.publish(media, 'mic');
    const limitMemory = async (bytes: string): Promise<unknown> =>
      askServer(cluster.redis.url, async (redis) => redis.config('SET', 'maxmemory', bytes));
    await limitMemory('1');
    const edge = cluster.edge(0);
    const readiness = async (): Promise<unknown> => (await fetch(`${edge.operatorUrl}/ready`)).json();
    await waitFor('the edge to notice', async () =>
      JSON.stringify(await readiness()).includes('out_of_memory'),
    );
    expect(await readiness()).toEqual({
      ready: false,
      reasons: ['store_unavailable'],
      store: 'out_of_memory',
    });
    expect(await edge.metric('plenary_edge_store_trouble', 'out_of_memory')).toBe(1);
    const late = await cluster.client();
    expect(await late.refusal('join', await joinRequest('full'))).toBe('store_unavailable');
    expect(await ann.refusal('track.pause', { trackId, paused: true })).toBe('ok');
    await limitMemory('0');
    await cluster.untilServed();
    await waitFor('the room to be whole', async () => (await cluster.standing('full')) === 'whole');
    await late.join('full');
    expect(ann.isClosed).toBe(false);
  });

  it('[PL15] refuses nobody while no media node is announced for a moment', async () => {
    // By the lease an edge tells how long a moment is.
    cluster = await TestCluster.start({
      edges: 1,
      mediaNodes: 1,
      edgeSettings: { PLENARY_LEASE_MS: '60000' },
    });
    cluster.mediaNode(0).isAnnounced = false;
    await askServer(cluster.redis.url, async (redis) => redis.flushall());
    const edge = cluster.edge(0);
    await waitFor('a join while none is announced', async () => {
      await (await cluster.client()).join('emptied');
      return (await edge.metric('plenary_edge_placements_total', 'no_node_alive')) > 0;
    });
    expect(await edge.status('/ready')).toBe(200);
  });

  it('[SE9] [SE41] joins are refused until it is back, and what needs no store works on', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [ann, bob] = [await cluster.client(), await cluster.client()];
    const { media } = await ann.join('store');
    const { trackId } = await ann.publish(media, 'mic');
    await bob.join('store');
    await bob.call('subscribe', { trackIds: [trackId] });

    await cluster.redis.kill();
    await waitFor('the edge to notice', async () => (await cluster.edge(0).status('/ready')) === 503);
    expect(await cluster.edge(0).status('/health')).toBe(200);
    const late = await cluster.client();
    expect(await late.refusal('join', await joinRequest('store'))).toBe('store_unavailable');
    expect(await ann.refusal('chat.post', { requestId: 'c', text: 'hi' })).toBe('store_unavailable');
    expect(await ann.refusal('track.pause', { trackId, paused: true })).toBe('ok');
    expect(await ann.refusal('edge.check', {})).toBe('ok');
    const { consumers, failed } = await bob.call('subscribe', { trackIds: [trackId, 'unknown'] });
    expect(consumers).toHaveLength(1);
    expect(failed).toMatchObject([
      { trackId: 'unknown', error: { code: 'store_unavailable', retryable: true } },
    ]);
    const consumerIds = consumers.map(({ consumerId }) => consumerId);
    expect(await bob.refusal('unsubscribe', { consumerIds })).toBe('ok');

    await cluster.redis.restart();
    await cluster.untilServed();
    // While the room is published again nobody enters it.
    await waitFor('the room to be whole', async () => (await cluster.standing('store')) === 'whole');
    await late.join('store');
    const friend = await cluster.client();
    await friend.join('store', { displayName: 'Friend' });
    await late.event(
      (event) => event.type === 'peer.joined' && event.peer.displayName === 'Friend',
      'Friend',
    );
    expect(ann.isClosed || bob.isClosed).toBe(false);
  });

  it('[MS8] a stranger who ends tracks of somebody else has the edge forget none of them', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [ann, bob, mallory] = [await cluster.client(), await cluster.client(), await cluster.client()];
    const { media } = await ann.join('ends');
    const { trackId } = await ann.publish(media, 'mic');
    await bob.join('ends');
    await mallory.join('ends');
    await mallory.call('track.end', { trackId });

    // What the edge does not know it would ask the store for.
    await cluster.redis.kill();
    await waitFor('the edge to notice', async () => (await cluster.edge(0).status('/ready')) === 503);
    const { consumers } = await bob.call('subscribe', { trackIds: [trackId] });
    expect(consumers).toMatchObject([{ trackId }]);
    await ann.call('track.end', { trackId });
    const { failed } = await bob.call('subscribe', { trackIds: [trackId] });
    expect(failed).toMatchObject([{ trackId, error: { code: 'store_unavailable' } }]);
    await cluster.redis.restart();
  });

  it('[SE32] who leaves meanwhile is removed when it is back', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    await ann.join('ghost');
    await cluster.redis.kill();
    await waitFor('the edge to notice', async () => (await cluster.edge(0).status('/ready')) === 503);
    await ann.call('leave', {});
    expect(await cluster.edge(0).metric('plenary_edge_pending_departures')).toBe(1);
    await waitFor('the media to be freed', () => cluster.mediaNode(0).peerIds.length === 0);
    await cluster.redis.restart();
    await waitFor(
      'the removal',
      async () => (await cluster.edge(0).metric('plenary_edge_pending_departures')) === 0,
    );
  });
});

describe('a media node goes away', () => {
  it('[SE8] its people are told at once and open media on another one', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 2 });
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    const { media } = await ann.join('nodes');
    const { trackId } = await ann.publish(media, 'mic');
    await bob.join('nodes');
    const lost = cluster.mediaNodes.find((node) => node.mediaNodeId === media.mediaNodeId);
    await lost?.kill();
    expect((await ann.notice('media.lost')).reason).toBe('node_lost');
    await bob.event((event) => event.type === 'track.ended' && event.trackId === trackId, 'track lost');
    const anew = await ann.call('media.open', MEDIA);
    expect(anew.mediaNodeId).not.toBe(media.mediaNodeId);
    const again = await ann.publish(anew, 'mic2');
    await bob.event(
      (event) => event.type === 'track.published' && event.track.trackId === again.trackId,
      'track',
    );
    expect(ann.noticesOf('event').map(({ event }) => event.type)).not.toContain('peer.left');
  });

  it('[CL3] one whose beats stop is taken for lost', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    await ann.join('beats');
    cluster.mediaNode(0).stopBeating();
    await waitFor(
      'the edge to notice',
      async () =>
        (await cluster.edge(0).metric('plenary_edge_control_links', 'down')) === 1 ||
        cluster.edge(0).output.includes('beats stopped'),
    );
  });

  it('[SE11] [SE42] one that does not admit is passed over, and the old placement is dropped', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 2 });
    const [first, second] = [cluster.mediaNode(0), cluster.mediaNode(1)];
    first.refuseAdmissions = new PlenaryError('no_media_node');
    for (const room of ['pass-1', 'pass-2', 'pass-3', 'pass-4']) {
      // Each a person of their own: nobody joins so often in a second.
      const ann = await cluster.client();
      const { media } = await ann.join(room);
      expect(media.mediaNodeId).toBe(second.mediaNodeId);
      await ann.call('leave', {});
    }
    second.refuseAdmissions = new PlenaryError('no_media_node');
    const late = await cluster.client();
    expect(await late.refusal('join', await joinRequest('pass-5'))).toBe('no_media_node');
    const bob = await cluster.client();
    second.refuseAdmissions = undefined;
    expect((await bob.join('pass-5')).room.peerCount).toBe(1);
  });

  it('[HL42] [HL43] one that lets an admission hang costs one person three seconds, and others nothing', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 2 });
    const [first, second] = [cluster.mediaNode(0), cluster.mediaNode(1)];
    let hanging = 0;
    first.unanswered = (name) => {
      if (name === 'peer.admit') hanging += 1;
      return name === 'peer.admit';
    };
    for (const room of ['hang-1', 'hang-2', 'hang-3', 'hang-4', 'hang-5', 'hang-6', 'hang-7', 'hang-8']) {
      const { media } = await (await cluster.client()).join(room);
      expect(media.mediaNodeId).toBe(second.mediaNodeId);
    }
    expect(hanging).toBeLessThan(2);
    // It answers everything else.
    expect(await cluster.edge(0).metric('plenary_edge_control_links', 'down')).toBe(0);
  });

  it('[HL10] one that answers nothing while it beats is as one that is gone, until it answers', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [node, edge] = [cluster.mediaNode(0), cluster.edge(0)];
    const ann = await cluster.client();
    await ann.join('mute');
    node.unanswered = () => true;
    // The edge asks by itself as well: where that is answered by silence first, the request need not wait so long.
    expect(['timed_out', 'media_unavailable', 'media_lost']).toContain(
      await ann.refusal('unsubscribe', { consumerIds: ['a-consumer'] }),
    );
    await ann.notice('media.lost');
    await waitFor('the edge to say why it is not ready', async () =>
      (await (await fetch(`${edge.operatorUrl}/ready`)).text()).includes('no_answer'),
    );
    await edge.logged('media node beats but answers no request');
    node.unanswered = () => false;
    await edge.ready();
    await (await cluster.client()).join('mute');
  });

  it('[HL40] one that answers nothing is found although nobody asks it for anything', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    await ann.join('idle');
    cluster.mediaNode(0).unanswered = () => true;
    expect((await ann.notice('media.lost')).reason).toBe('node_lost');
  });

  it('[HL10] one that answers nothing is found before anybody is sent to it', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [node, edge] = [cluster.mediaNode(0), cluster.edge(0)];
    // Its handshakes go on, and so do its beats.
    node.unanswered = (name) => name.includes('.');
    await edge.logged('media node beats but answers no request');
    node.unanswered = () => false;
    const [client, request] = [await cluster.client(), await joinRequest('first')];
    // Until there is a link again nobody can be placed, and clients repeat their request.
    await waitFor('somebody to be let in', async () => {
      const answer = await client.refusal('join', request);
      expect(['ok', 'no_media_node']).toContain(answer);
      return answer === 'ok';
    });
  });

  it('[SE8] a peer that its node lost opens media again, under a higher epoch, and only the newest is heard of', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    const { session } = await ann.join('worker');
    const node = cluster.mediaNode(0);
    const admitted = node.callsOf('peer.admit')[0];
    const { roomId, peerId, epoch } = admitted as { roomId: string; peerId: string; epoch: number };
    const { notify } = node;
    const lose = (of: number): void => {
      Reflect.apply(notify, node, ['peer.lost', { roomId, peerId, epoch: of, reason: 'worker_died' }]);
    };
    lose(epoch);
    expect((await ann.notice('media.lost')).reason).toBe('worker_died');
    expect(await ann.refusal('subscribe', { trackIds: ['t'] })).toBe('ok');
    await ann.call('media.open', MEDIA);
    lose(epoch);
    await ann.publish({ sendTransport: { id: 'send' } }, 'mic');
    expect(ann.noticesOf('media.lost')).toHaveLength(1);
    expect(node.peerIds).toEqual([session.peerId]);
  });

  it('[SE53] a node that a client cannot reach is passed over, unless it is the only one', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 2 });
    const ann = await cluster.client();
    let { mediaNodeId } = (await ann.join('unreachable')).media;
    for (const _ of [1, 2, 3]) {
      const anew = await ann.call('media.open', { ...MEDIA, isUnreachable: true });
      expect(anew.mediaNodeId).not.toBe(mediaNodeId);
      ({ mediaNodeId } = anew);
    }
    for (const node of cluster.mediaNodes) if (node.mediaNodeId !== mediaNodeId) await node.kill();
    await waitFor(
      'one link',
      async () => (await cluster.edge(0).metric('plenary_edge_control_links', 'state="up"')) === 1,
    );
    expect((await ann.call('media.open', { ...MEDIA, isUnreachable: true })).mediaNodeId).toBe(mediaNodeId);
  });

  it('[SE17] a client whose media is silent learns whether its node still hosts it', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const ann = await cluster.client();
    await ann.join('silence');
    expect(await ann.call('media.check', {})).toEqual({ alive: true, ...COUNTED_MEDIA });
    cluster.mediaNode(0).forgetPeers();
    expect(await ann.call('media.check', {})).toEqual({ alive: false });
    expect(ann.noticesOf('media.lost')).toHaveLength(1);
    expect(await ann.refusal('media.check', {})).toBe('media_lost');
    await ann.call('media.open', MEDIA);
    expect(await ann.call('media.check', {})).toEqual({ alive: true, ...COUNTED_MEDIA });
  });
});

describe('an edge goes away', () => {
  it('[LC13] SIGTERM says goodbye, and its sessions are resumed on another edge', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    const { session, room } = await ann.join('stop');
    await bob.join('stop');
    cluster.edge(0).kill('SIGTERM');
    expect((await ann.notice('bye')).code).toBe('shutting_down');
    const again = await cluster.client(1);
    expect((await again.resume(ann, session, room.lastEventId)).mediaAlive).toBe(true);
    expect(await cluster.edge(0).exited()).toBe(0);
    expect(bob.noticesOf('event').map(({ event }) => event.type)).not.toContain('peer.left');
  });

  it('[SE36] what a killed edge and a killed node leave behind is swept by another edge', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 2, edgeSettings: SHORT_LIVES });
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    const { media } = await ann.join('sweep', { token: await testToken('sweep') });
    cluster.mediaNodes.forEach((node) => {
      if (node.mediaNodeId === media.mediaNodeId) node.refuseAdmissions = new PlenaryError('no_media_node');
    });
    await bob.join('sweep');
    cluster.edge(0).kill('SIGKILL');
    await cluster.mediaNodes.find((node) => node.mediaNodeId === media.mediaNodeId)?.kill();
    await bob.event((event) => event.type === 'peer.left' && event.reason === 'node_lost', 'Ann is swept');
  });

  it('[LC3] falls back to Node’s own server and says so', async () => {
    cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
    const edge = await cluster.addEdge('edge-node', { NODE_OPTIONS: '--no-addons' });
    expect(await edge.metric('plenary_edge_server', 'server="node"')).toBe(1);
    const ann = await cluster.client(0);
    const bob = await cluster.client(0);
    await ann.join('fallback');
    await bob.join('fallback', { displayName: 'Bob' });
    await ann.event(
      (event) => event.type === 'peer.joined' && event.peer.displayName === 'Bob',
      'Bob joined',
    );
    expect((await fetch(`${edge.url}/health`, { method: 'HEAD' })).status).toBe(200);
  });
});
