/** The cluster's secret: what happens where processes differ in it, and how it is changed while people meet. */
import { afterEach, describe, expect, it } from 'vitest';
import { TEST_CLUSTER_SECRET } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const NEW_SECRET = 'the cluster secret of tomorrow that only tests know';

let cluster: TestCluster;
afterEach(() => cluster.stop());

describe('the cluster\u2019s secret', () => {
  it('[CL17] an edge that has another one says so, and so does the node', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    cluster.mediaNode(0).secrets = [NEW_SECRET];
    const edge = await cluster.addUnreadyEdge('edge-other', {
      PLENARY_CLUSTER_SECRET: `${NEW_SECRET} and yet not this one`,
    });
    await waitFor('the edge to say it', () =>
      edge.output.includes('edge edge-other and node-1 have different secrets'),
    );
    const line = edge.output.split('\n').find((text) => text.includes('have different secrets'));
    expect(line).toContain('control link refused');
    expect(line).toContain('"level":"error"');
    // Tried again and again, and said once.
    expect(edge.output.split('have different secrets')).toHaveLength(2);
  });

  it('[KY2] is changed while people meet: processes are restarted one after another, and nobody notices', async () => {
    cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
    const node = cluster.mediaNode(0);
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('rotation');
    let [client, held] = [ann, session];
    for (const stage of [
      `${TEST_CLUSTER_SECRET},${NEW_SECRET}`,
      `${NEW_SECRET},${TEST_CLUSTER_SECRET}`,
      NEW_SECRET,
    ]) {
      const [first = '', ...others] = stage.split(',');
      node.secrets = [first, ...others];
      for (const old of cluster.edges.slice(-2)) {
        const next = await cluster.addEdge(`${old.id}-r`, { PLENARY_CLUSTER_SECRET: stage });
        await waitFor(
          'its link',
          async () => (await next.metric('plenary_edge_control_links', 'state="up"')) === 1,
        );
        const again = await cluster.client(cluster.edges.indexOf(next));
        const resumed = await again.resume(ann, held, room.lastEventId);
        expect(resumed).toMatchObject({ mediaAlive: true, session: { peerId: session.peerId } });
        [client, held] = [again, resumed.session];
        const newcomer = await cluster.client(cluster.edges.indexOf(next));
        await newcomer.join('rotation');
        await newcomer.call('leave', {});
        await old.stop();
      }
    }
    // Nobody knows the old one any more, and she is who she was.
    expect(node.peerIds).toContain(session.peerId);
    await client.call('chat.post', { requestId: 'last', text: 'still here' });
  });
});
