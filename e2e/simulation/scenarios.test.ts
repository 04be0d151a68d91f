import { DATACENTER_ID, EDGE_ID, MEDIA_NODE_ID, ROOM_ID } from '@plenary/cluster/ids';
import type { TrackId } from '@plenary/cluster';
import { Random } from '@plenary/cluster/testing/simulation/random';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import { VirtualTime } from '@plenary/cluster/testing/simulation/virtual-time';
import { describe, expect, it } from 'vitest';
import { checkTrees, checkOneCopy, checkSteadyState } from './checks.ts';
import type { ClientPlan, SimulatedClient } from './client.ts';
import type { SimulatedEdge } from './edge.ts';
import type { SimulatedMediaNodePlan } from './media-node.ts';
import type { Plan } from './plan.ts';
import { SimulatedWorld } from './simulated-world.ts';

const ROOM = ROOM_ID.parse('tenant/room');
const [NEAR, FAR] = [DATACENTER_ID.parse('near'), DATACENTER_ID.parse('far')];

const node = (name: string, datacenter: typeof NEAR, firstPort: number): SimulatedMediaNodePlan => ({
  mediaNodeId: MEDIA_NODE_ID.parse(name),
  datacenter,
  host: `${datacenter}.example`,
  sliceSource: { kind: 'explicit', portSlice: { firstPort, lastPort: firstPort + 19 } },
});

/** Two media nodes near, one far, one edge, and no faults. */
const PLAN: Plan = {
  nodes: [node('near-1', NEAR, 20_000), node('near-2', NEAR, 20_100), node('far', FAR, 20_000)],
  edges: [{ edgeId: EDGE_ID.parse('edge'), datacenter: NEAR }],
  clients: [],
  roomIds: [ROOM],
  nodeSettings: {
    leaseMs: 3_000,
    orphanGraceMs: 8_000,
    pipeLingerMs: 1_500,
    workers: 1,
    workerPackingLimit: 10,
    maxPeers: 50,
  },
  edgeSettings: { leaseMs: 3_000, resumeWithinMs: 5_000, packingLimit: 1 },
  faults: [],
  isStormy: false,
};

/** Runs a scenario in a world without random events. Only the scenario makes things happen. */
async function runScenario(
  scenario: (world: SimulatedWorld, advance: (forMs: number) => Promise<void>) => Promise<void>,
  plan = PLAN,
) {
  const random = new Random(1);
  const uncaught: unknown[] = [];
  const time = new VirtualTime(random.next, (_life, fault) => uncaught.push(fault));
  const world = new SimulatedWorld({
    plan,
    time,
    random,
    storeParts: SOUND_STORE,
    broken: {},
    trace: () => undefined,
  });
  const advance = async (forMs: number): Promise<void> => {
    const untilMs = time.nowMs + forMs;
    while ((await time.step(untilMs)) !== undefined) checkTrees(world);
  };
  time.install();
  try {
    world.startProcesses();
    await advance(3_000);
    await scenario(world, advance);
  } finally {
    time.uninstall();
  }
  expect(uncaught).toEqual([]);
  expect(world.broken).toBeUndefined();
}

const person = (name: string, datacenter: typeof NEAR): ClientPlan => ({ name, roomId: ROOM, datacenter });

describe('scenarios', () => {
  it('[GW16] tracks that came straight from their home while the store was down come through one gateway when it is back', async () => {
    await runScenario(async (world, advance) => {
      for (const plan of [person('speaker', FAR), person('ann', NEAR), person('bob', NEAR)]) {
        world.addPerson(plan);
        await advance(1_000);
      }
      const [speaker, ...viewers] = world.clients;
      speaker?.publish('microphone');
      await advance(500);
      const trackId = speaker?.publications.get('microphone')?.trackId;
      if (trackId === undefined) throw new Error('Nothing was published.');

      world.store.goAway(4_000);
      await advance(500);
      for (const viewer of viewers) viewer.watch(trackId, { paused: false });
      await advance(2_000);

      expect(viewers.every((viewer) => viewer.consumers.has(trackId))).toBe(true);
      expect(() => {
        checkOneCopy(world);
      }).toThrow('GW2');
      await advance(20_000);
      checkOneCopy(world);
      checkSteadyState(world);
    });
  });

  it('[DR3] [DR4] peers of a draining node are moved, and lose no media session and no demand', async () => {
    await runScenario(async (world, advance) => {
      for (const plan of [person('ann', NEAR), person('bob', NEAR), person('cid', FAR)]) {
        world.addPerson(plan);
        await advance(1_000);
      }
      const { clients } = world;
      for (const client of clients) client.publish('microphone');
      await advance(1_000);
      const watched = (client: SimulatedClient): TrackId[] =>
        [...(client.room?.tracks.values() ?? [])]
          .filter(({ peerId }) => peerId !== client.peerId)
          .map(({ trackId }) => trackId);
      for (const client of clients)
        for (const trackId of watched(client)) client.watch(trackId, { paused: false });
      await advance(3_000);
      checkSteadyState(world);

      const nodeOf = (client: SimulatedClient) =>
        world.nodes.find(({ rooms }) => rooms.peers().some(({ placed }) => placed.peerId === client.peerId));
      const [ann] = clients;
      if (ann === undefined) throw new Error('Nobody came.');
      const drained = nodeOf(ann);
      if (drained === undefined) throw new Error('Ann is on no node.');

      world.drain(drained, 60_000);
      await advance(10_000);

      expect(drained.rooms.peerCount).toBe(0);
      expect(nodeOf(ann)?.plan.mediaNodeId).not.toBe(drained.plan.mediaNodeId);
      for (const client of clients) {
        expect([client.isMoving, client.mediaLosses, client.demands.size]).toEqual([false, 0, 2]);
      }
      checkSteadyState(world);

      world.undrain(drained);
      await advance(1_000);

      expect(drained.lease.missing()).toBeUndefined();
    });
  });

  it('[DR5] clients of a draining edge are handed over to another one, and are never without an edge', async () => {
    const edges = ['first', 'second'].map((name) => ({ edgeId: EDGE_ID.parse(name), datacenter: NEAR }));
    await runScenario(
      async (world, advance) => {
        for (let index = 0; index < 6; index += 1) world.addPerson(person(`person-${index}`, NEAR));
        await advance(2_000);
        const { clients } = world;
        const [drained] = world.edges;
        const clientsOn = (edge: SimulatedEdge | undefined): SimulatedClient[] =>
          clients.filter((client) => edge !== undefined && client.wire?.lifeOf('callee') === edge.life);
        const clientsOfDrained = clientsOn(drained);
        if (drained === undefined || clientsOfDrained.length === 0)
          throw new Error('Nobody is on the first edge.');

        world.drain(drained, 60_000);
        for (let passedMs = 0; passedMs < 8_000; passedMs += 20) {
          await advance(20);
          expect(clients.every(({ isJoined }) => isJoined)).toBe(true);
          if (passedMs % 200 === 0) for (const client of clients) client.chat();
        }

        expect(clientsOn(drained)).toEqual([]);
        for (const client of clientsOfDrained) expect([client.handovers, client.mediaLosses]).toEqual([1, 0]);
        await advance(20_000);
        checkSteadyState(world);
      },
      { ...PLAN, edges },
    );
  });
});
