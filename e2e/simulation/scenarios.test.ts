import { DATACENTER_ID, EDGE_ID, MEDIA_NODE_ID, ROOM_ID } from '@plenary/cluster/ids';
import type { TrackId } from '@plenary/cluster';
import { Random } from '@plenary/cluster/testing/simulation/random';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import { VirtualTime } from '@plenary/cluster/testing/simulation/virtual-time';
import { describe, expect, it } from 'vitest';
import { checkForest, checkOneCopy, checkSettled } from './checks.ts';
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

/** Two media nodes near and one far, one edge, and nothing that goes wrong by itself. */
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

/** A world in which only happens what the test does. */
async function inWorld(
  scenario: (world: SimulatedWorld, pass: (forMs: number) => Promise<void>) => Promise<void>,
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
    tell: () => undefined,
  });
  const pass = async (forMs: number): Promise<void> => {
    const untilMs = time.nowMs + forMs;
    while ((await time.step(untilMs)) !== undefined) checkForest(world);
  };
  time.install();
  try {
    world.startProcesses();
    await pass(3_000);
    await scenario(world, pass);
  } finally {
    time.uninstall();
  }
  expect(uncaught).toEqual([]);
  expect(world.broken).toBeUndefined();
}

const person = (name: string, datacenter: typeof NEAR): ClientPlan => ({ name, roomId: ROOM, datacenter });

describe('scenarios', () => {
  it('[GW16] what came straight from its home while the store was away comes through one gateway when it is back', async () => {
    await inWorld(async (world, pass) => {
      for (const plan of [person('speaker', FAR), person('ann', NEAR), person('bob', NEAR)]) {
        world.comes(plan);
        await pass(1_000);
      }
      const [speaker, ...viewers] = world.clients;
      speaker?.publish('microphone');
      await pass(500);
      const trackId = speaker?.publications.get('microphone')?.trackId;
      if (trackId === undefined) throw new Error('Nothing was published.');
      world.store.goAway(4_000);
      await pass(500);
      for (const viewer of viewers) viewer.watch(trackId, { paused: false });
      await pass(2_000);
      expect(viewers.every((viewer) => viewer.consumers.has(trackId))).toBe(true);
      expect(() => {
        checkOneCopy(world);
      }).toThrow('GW2');
      await pass(20_000);
      checkOneCopy(world);
      checkSettled(world);
    });
  });

  it('[DR3] [DR4] people of a node that drains are moved, and nobody loses anything on the way', async () => {
    await inWorld(async (world, pass) => {
      for (const plan of [person('ann', NEAR), person('bob', NEAR), person('cid', FAR)]) {
        world.comes(plan);
        await pass(1_000);
      }
      const { clients } = world;
      for (const client of clients) client.publish('microphone');
      await pass(1_000);
      const watched = (client: SimulatedClient): TrackId[] =>
        [...(client.room?.tracks.values() ?? [])]
          .filter(({ peerId }) => peerId !== client.peerId)
          .map(({ trackId }) => trackId);
      for (const client of clients)
        for (const trackId of watched(client)) client.watch(trackId, { paused: false });
      await pass(3_000);
      checkSettled(world);
      const nodeOf = (client: SimulatedClient) =>
        world.nodes.find(({ rooms }) => rooms.peers().some(({ placed }) => placed.peerId === client.peerId));
      const [ann] = clients;
      if (ann === undefined) throw new Error('Nobody came.');
      const drained = nodeOf(ann);
      if (drained === undefined) throw new Error('Ann is on no node.');
      world.drain(drained, 60_000);
      await pass(10_000);
      expect(drained.rooms.peerCount).toBe(0);
      expect(nodeOf(ann)?.plan.mediaNodeId).not.toBe(drained.plan.mediaNodeId);
      for (const client of clients) {
        expect([client.isMoving, client.lossesOfMedia, client.demands.size]).toEqual([false, 0, 2]);
      }
      checkSettled(world);
      world.undrain(drained);
      await pass(1_000);
      expect(drained.lease.missing()).toBeUndefined();
    });
  });

  it('[DR5] people of an edge that drains are on another one, and were never without an edge', async () => {
    const edges = ['first', 'second'].map((name) => ({ edgeId: EDGE_ID.parse(name), datacenter: NEAR }));
    await inWorld(
      async (world, pass) => {
        for (let index = 0; index < 6; index += 1) world.comes(person(`person-${index}`, NEAR));
        await pass(2_000);
        const { clients } = world;
        const [drained] = world.edges;
        const on = (edge: SimulatedEdge | undefined): SimulatedClient[] =>
          clients.filter((client) => edge !== undefined && client.wire?.lifeOf('callee') === edge.life);
        const gone = on(drained);
        if (drained === undefined || gone.length === 0) throw new Error('Nobody is on the first edge.');
        world.drain(drained, 60_000);
        for (let passedMs = 0; passedMs < 8_000; passedMs += 20) {
          await pass(20);
          expect(clients.every(({ isJoined }) => isJoined)).toBe(true);
          if (passedMs % 200 === 0) for (const client of clients) client.chat();
        }
        expect(on(drained)).toEqual([]);
        for (const client of gone) expect([client.handovers, client.lossesOfMedia]).toEqual([1, 0]);
        await pass(20_000);
        checkSettled(world);
      },
      { ...PLAN, edges },
    );
  });
});
