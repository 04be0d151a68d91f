import { mintIncarnation } from '@plenary/cluster';
import { MEDIA_NODE_ID } from '@plenary/cluster/ids';
import { afterEach, describe, expect, it } from 'vitest';
import { TEST_CLUSTER_SECRET } from './testing/edge-process.ts';
import { ScriptedMediaNode } from './testing/scripted-media-node.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
let impostor: ScriptedMediaNode | undefined;
afterEach(async () => {
  await impostor?.kill();
  impostor = undefined;
  await cluster.stop();
});

const refusals = async (): Promise<number> =>
  cluster.edge(0).metric('plenary_edge_faults_total', 'where="control_link"');
const linksUp = async (): Promise<number> =>
  cluster.edge(0).metric('plenary_edge_control_links', 'state="up"');

/** The only node that a join may be placed on is the true one. */
async function expectOnlyTheTrueNodeServes(): Promise<void> {
  await waitFor('the edge to refuse the link', async () => (await refusals()) > 0);
  await waitFor('one link to be up', async () => (await linksUp()) === 1);
  for (const room of ['a', 'b', 'c']) {
    const client = await cluster.client();
    const { media } = await client.join(room);
    expect(media.mediaNodeId).toBe('node-1');
    await client.call('leave', {});
  }
}

describe('control links', () => {
  it('[CL1] a record that leads to another node gives no link', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const [record] = await cluster.store.registry.liveMediaNodes();
    if (record === undefined) throw new Error('There is a media node.');
    const forged = {
      ...record,
      mediaNodeId: MEDIA_NODE_ID.parse('node-x'),
      incarnation: mintIncarnation(),
      portSlice: { firstPort: 60_000, lastPort: 60_001 },
    };
    expect(await cluster.store.registry.announceMediaNode(forged, 60_000)).toEqual({ refused: null });
    await expectOnlyTheTrueNodeServes();
  });

  it('[CL2] a node that says it is another one gets no link', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    impostor = await ScriptedMediaNode.start({
      id: 'node-x',
      claimsToBe: 'node-1',
      clusterSecret: TEST_CLUSTER_SECRET,
      store: cluster.store,
      leaseMs: 60_000,
    });
    await expectOnlyTheTrueNodeServes();
    expect(impostor.callsOf('peer.admit')).toEqual([]);
  });
});
