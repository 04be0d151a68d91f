import { breakRoom, spoilStore } from '@plenary/cluster/testing/spoiled-store';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { joinRequest } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
});
afterEach(() => cluster.closeClients());
afterAll(async () => cluster.stop());

describe('garbage in the store', () => {
  it('[ST3] stops no meeting: people join, talk, publish, catch up and resume; it is counted and told once', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    const { session, room, media } = await ann.join('spoilt');
    await spoilStore(cluster.redis.url, testRoom('spoilt'));
    const request = await joinRequest('spoilt', { sessionKey: bob.key.jwk, displayName: 'Bob' });
    const joined = await bob.callOnce('join', request);
    expect(joined.room.peers.map(({ displayName }) => displayName)).toEqual(['Ann', 'Bob']);
    const { trackId } = await ann.publish(media, 'mic');
    expect((await bob.callOnce('subscribe', { trackIds: [trackId] })).consumers).toHaveLength(1);
    await bob.callOnce('chat.post', { requestId: 'c1', text: 'all is well' });
    await ann.event((event) => event.type === 'chat.posted', 'chat over two edges');
    expect((await ann.callOnce('roster.page', { cursor: '' })).peers).toHaveLength(2);
    expect(await ann.callOnce('sync', { afterEventId: room.lastEventId })).toMatchObject({ type: 'events' });
    const again = await cluster.client(1);
    expect((await again.resume(ann, session, room.lastEventId)).mediaAlive).toBe(true);
    await again.call('leave', {});
    await bob.event((event) => event.type === 'peer.left', 'Ann left');

    for (const [index, edge] of cluster.edges.entries()) {
      // The second edge read the room for the joins, both read the registry.
      const kinds =
        index === 1 ? ['registry', 'placement', 'roster', 'track', 'chat'] : ['registry', 'event'];
      for (const kind of kinds) {
        await waitFor(
          `${edge.id} to have met a malformed ${kind}`,
          async () => (await edge.metric('plenary_edge_malformed_records_total', `kind="${kind}"`)) > 1,
        );
        const told = (await edge.logged(`"record":"${kind}"`))
          .split('\n')
          .filter((line) => line.includes(`"record":"${kind}"`));
        expect(told).toHaveLength(1);
      }
      expect(edge.exitCode).toBeNull();
      // What somebody without the cluster's keys published was met, and ended nothing.
      const publications = 'kind="foreign_publication"';
      await waitFor(
        `${edge.id} to have met publications`,
        async () => (await edge.metric('plenary_edge_malformed_records_total', publications)) > 1,
      );
      expect((await edge.logged('reading a publication')).match(/reading a publication/g)).toHaveLength(1);
    }
    await bob.call('leave', {});
  });

  it('[ST12] keys of another type cost their own room what the store kept of it; its people go on, and no process ends', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(0)];
    await ann.join('broken');
    await bob.join('whole');
    await breakRoom(cluster.redis.url, testRoom('broken'));
    await waitFor(
      'the room to be published anew',
      async () => (await cluster.edge(0).metric('plenary_edge_repairs_total', 'what="peers"')) > 0,
    );
    expect((await ann.call('roster.page', { cursor: '' })).peers).toHaveLength(1);
    await bob.call('chat.post', { requestId: 'c1', text: 'here all is well' });
    for (const edge of cluster.edges) {
      expect(edge.exitCode).toBeNull();
      await edge.ready();
    }
  });
});
