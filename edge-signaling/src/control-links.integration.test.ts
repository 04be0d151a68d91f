import { mintIncarnation } from '@plenary/cluster';
import { MEDIA_NODE_ID } from '@plenary/cluster/ids';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { io } from 'socket.io-client';
import { z } from 'zod';
import { afterEach, describe, expect, it } from 'vitest';
import { EdgeProcess, TEST_CLUSTER_SECRET } from './testing/edge-process.ts';
import { ScriptedMediaNode } from './testing/scripted-media-node.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const READINESS = z.object({
  ready: z.boolean(),
  reasons: z.array(z.string()),
  controlLinks: z.array(z.string()).optional(),
});

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

  it('[BU8] to many nodes that there are not are told of in a few lines, and all of them are counted', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const NODES = 60;
    for (let index = 0; index < NODES; index += 1) {
      const record = mediaNodeRecord(`forged-${index}`, {
        controlUrl: 'http://127.0.0.1:1',
        incarnation: mintIncarnation(),
        portSlice: { firstPort: 50_000 + index, lastPort: 50_000 + index },
      });
      expect(await cluster.store.registry.announceMediaNode(record, 60_000)).toEqual({ refused: null });
    }
    await waitFor('the edge to fail at all of them', async () => (await refusals()) >= NODES);
    const lines = cluster.edge(0).output.split('\n');
    expect(lines.filter((line) => line.includes('media node unreachable')).length).toBeLessThan(20);
  });

  it('[CL1] a node that says it is another one gets no link', async () => {
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

describe('an edge that can use no media node', () => {
  it.each([
    { cause: 'other_node', hears: { mediaNodeId: 'node-y' }, says: 'This is node-x, not node-y' },
    { cause: 'other_version', hears: { controlVersion: 999_999 }, says: 'speaks control version 999999' },
    { cause: 'other_version', hears: { share: 'of another shape' }, says: 'share' },
  ])('[HL21] names the cause $cause as the node does, of $hears', async ({ cause, hears, says }) => {
    cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
    const edge = await EdgeProcess.start({ id: 'edge-1', settings: cluster.redis.settings });
    cluster.edges.push(edge);
    impostor = await ScriptedMediaNode.start({
      id: 'node-x',
      hears,
      clusterSecret: TEST_CLUSTER_SECRET,
      store: cluster.store,
      leaseMs: 60_000,
    });
    await waitFor('the cause', async () => {
      const answer: unknown = await (await fetch(`${edge.operatorUrl}/ready`)).json();
      return READINESS.parse(answer).controlLinks?.includes(cause) === true;
    });
    await edge.logged(says);
    await edge.logged(`"cause":"${cause}"`);
  });

  it('[HL6] [HL21] [HL22] is not ready, says why, and sends who comes to an edge that can', async () => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    const useless = await EdgeProcess.start({
      id: 'edge-2',
      settings: {
        ...cluster.redis.settings,
        PLENARY_CLUSTER_SECRET: 'another secret that is long enough for it',
      },
    });
    cluster.edges.push(useless);
    const readiness = async (): Promise<unknown> => (await fetch(`${useless.operatorUrl}/ready`)).json();
    await waitFor('the reason to be said', async () => {
      const { reasons } = READINESS.parse(await readiness());
      return reasons.includes('no_control_link');
    });
    await waitFor(
      'the kind of reason',
      async () => 'other_secret' === READINESS.parse(await readiness()).controlLinks?.[0],
    );
    expect(READINESS.parse(await readiness())).toEqual({
      ready: false,
      reasons: ['no_control_link'],
      controlLinks: ['other_secret'],
    });
    expect(await useless.status('/health')).toBe(200);
    const refused = async (): Promise<number> =>
      useless.metric('plenary_edge_refused_connections_total', 'reason="no_control_link"');
    const client = io(useless.url, { transports: ['websocket'], reconnection: false });
    await new Promise((resolve) => {
      client.once('connect_error', resolve);
    });
    expect(await refused()).toBe(1);
    await useless.logged('PLENARY_CLUSTER_SECRET');
    await cluster.edge(0).ready();
  });
});
