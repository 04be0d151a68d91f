/** A media node that is announced but does nothing for its peers. */
import { MEDIA_NODE_ID } from '@plenary/cluster/ids';
import { adminKeyText, nodeKeyText } from '@plenary/cluster/testing/attackers';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { RunningMediaNode } from '@plenary/deploy/local-cluster';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { JoinRefused, Stranger } from '../stranger.ts';

const TIRED = MEDIA_NODE_ID.parse('media-tired');

/** Starts a third media node in the target's datacenter; nobody of the meeting is on it. */
async function withTiredNode(
  world: HostileWorld,
  act: (node: RunningMediaNode) => Promise<Answers>,
): Promise<Answers> {
  const { clusterSecret, adminToken, redisUrl } = world.cluster;
  const beside = await startLocalCluster({
    edges: 0,
    mediaNodes: 1,
    workers: 1,
    web: false,
    datacenters: [world.targetNode.datacenter],
    redisUrl,
    readyTimeoutMs: 90_000,
    mediaNode: () => ({
      env: {
        PLENARY_ID: TIRED,
        PLENARY_NODE_KEY: nodeKeyText(clusterSecret, TIRED),
        PLENARY_ADMIN_KEY: adminKeyText(adminToken, { kind: 'media-node', id: TIRED }),
      },
    }),
  });
  try {
    const [node] = beside.mediaNodes;
    if (node === undefined) throw new Error('The second cluster has no media node.');
    const up = `plenary_edge_control_links{state="up"} ${world.cluster.mediaNodes.length + 1}\n`;
    await until(
      'edges to have a link to it',
      () =>
        Promise.all(
          world.cluster.edges.map(async ({ operatorUrl }) => (await fetch(`${operatorUrl}/metrics`)).text()),
        ),
      (told) => told.every((metrics) => metrics.includes(up)),
    );
    const answers = await act(node);
    await until(
      'the node to be notified of all departures',
      async () => (await world.footprint()).departures,
      (departures) => departures === 0,
    );
    return answers;
  } finally {
    await beside.stop();
  }
}

/** Joins a new room each time, so that only the node's state speaks against it. */
async function joins(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  let rooms = 0;
  return repeatUntil(isOver, async () => {
    rooms += 1;
    const roomId = `tired-${rooms}`;
    try {
      const token = world.token({ roomId, subject: roomId, datacenter: world.targetNode.datacenter });
      const stranger = await Stranger.join(world, { roomId, token });
      await stranger.leave();
      return 'joined';
    } catch (thrown) {
      if (thrown instanceof JoinRefused) return thrown.code;
      throw thrown;
    }
  });
}

export const TIRED_NODES: readonly Attack[] = [
  {
    name: 'a media node whose main process is stopped',
    world: 'plain',
    description:
      'stops the main process of a third media node (SIGSTOP), which keeps its connections and its lease, while people join',
    allowedAnswers: ['joined'],
    strike: async (world, isOver) =>
      withTiredNode(world, async (node) => {
        await node.kill('SIGSTOP');
        try {
          return await joins(world, isOver);
        } finally {
          await node.kill('SIGCONT');
        }
      }),
  },
  {
    name: 'a media node whose workers hang',
    world: 'plain',
    description:
      'stops the workers of a third media node (SIGSTOP), which still beats and answers requests that need no worker, while people join',
    allowedAnswers: ['joined'],
    strike: async (world, isOver) =>
      withTiredNode(world, async (node) => {
        if (node.pid === null) throw new Error('The media node does not run.');
        for (const worker of childrenOf(node.pid)) process.kill(worker, 'SIGSTOP');
        // The node kills a hung worker and starts another.
        return joins(world, isOver);
      }),
  },
];
