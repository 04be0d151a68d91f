import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toPlenaryError } from '../errors.ts';
import type { RoomId } from '../protocol/ids.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import type { TestMaster, TestRedisCluster } from '../testing/redis-cluster.ts';
import { edge, edgeRecord, mediaNode, peer, request, room } from '../testing/samples.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { ClusterStore } from './connect.ts';
import { KEYS } from '../testing/store-keys.ts';

let cluster: TestRedisCluster;
let store: ClusterStore;
let told: boolean[];
beforeEach(async () => {
  cluster = await startRedisCluster();
  store = await connectTestStore(cluster.address);
  told = [];
  store.onAvailability((available) => told.push(available));
});
afterEach(async () => {
  await store.close();
  await cluster.stop();
});

/** A room on each master, the one of the registry last. */
async function roomsByMaster(): Promise<readonly { readonly master: TestMaster; readonly roomId: RoomId }[]> {
  const registryMaster = await cluster.masterOf(KEYS.edges);
  const found = new Map<TestMaster, RoomId>();
  for (let index = 0; found.size < cluster.masters.length; index += 1) {
    const roomId = room(`room-${index}`);
    found.set(await cluster.masterOf(KEYS.room(roomId).meta), roomId);
  }
  const rank = (master: TestMaster): number => (master === registryMaster ? 1 : 0);
  return [...found]
    .map(([master, roomId]) => ({ master, roomId }))
    .sort((left, right) => rank(left.master) - rank(right.master));
}

const place = async (roomId: RoomId) =>
  store.placements.placePeer({
    roomId,
    peerId: peer('ann'),
    requestId: request('r1'),
    edgeId: edge('edge-a'),
    mediaNodeId: mediaNode('node-a'),
    maxPeers: 10,
  });

/** Each kind of command that a room knows: a script, a transaction and a single command. */
const commandsOf = (roomId: RoomId): readonly (() => Promise<unknown>)[] => [
  () => place(roomId),
  () => store.placements.view(roomId),
  () => store.roomLog.lastEventId(roomId),
];

describe('a Redis Cluster that lost a master', () => {
  it('[ST6] [ST4] serves what the others keep, and is published to again when the master is back', async () => {
    const [lost, ...others] = await roomsByMaster();
    if (lost === undefined) throw new Error('no master');
    const before = await place(lost.roomId);
    await lost.master.kill();
    for (const command of commandsOf(lost.roomId))
      await expect(command()).rejects.toMatchObject({ code: 'store_unavailable' });
    for (const { roomId } of others) for (const command of commandsOf(roomId)) await command();
    expect(await store.registry.announceEdge(edgeRecord('edge-a'), 60_000)).toEqual({ refused: null });
    expect(store.isAvailable()).toBe(true);
    expect(told).toEqual([]);

    await lost.master.restart();
    await waitFor('owners to be told to publish again', () => told.length > 0);
    expect(told[0]).toBe(true);
    // It forgot everything, as the primary that takes over may have.
    expect((await place(lost.roomId)).epoch).toBeGreaterThan(before.epoch);
  });

  it('[RC7] [HL1] of which one hangs refuses its rooms at once, and serves those of the others', async () => {
    const [silent, other] = await roomsByMaster();
    if (silent === undefined || other === undefined) throw new Error('no master');
    await waitFor('the whole store', () => store.trouble() === undefined);
    silent.master.pause();
    await waitFor('it to be noticed', () => store.trouble() === 'no_answer');
    expect(store.isAvailable()).toBe(true);
    const [commands, others] = [commandsOf(silent.roomId), commandsOf(other.roomId)];
    // A command that is sent is answered later than one that is refused here, even by a master that answers.
    const firstOf = async (index: number): Promise<string> => {
      const refused = commands[index]?.().then(
        () => 'carried out',
        (error: unknown) => toPlenaryError(error).code,
      );
      const served = others[index]?.().then(() => 'served first');
      const first = await Promise.race([refused, served]);
      await served;
      return first ?? 'nothing';
    };
    await waitFor('its rooms to be refused at once', async () => (await firstOf(0)) === 'store_unavailable');
    for (let round = 0; round < 20; round += 1)
      for (const index of commands.keys()) expect(await firstOf(index)).toBe('store_unavailable');
    silent.master.goOn();
    await waitFor('the whole store', () => store.trouble() === undefined);
    for (const command of commandsOf(silent.roomId)) await command();
    expect(told.at(-1)).toBe(true);
  });

  it('[ST4] that lost all of them is away, and is there again by itself', async () => {
    const places = await roomsByMaster();
    for (const { roomId } of places) await place(roomId);
    for (const { master } of places) await master.kill();
    await waitFor('the outage to be told', () => told.length > 0);
    expect(store.isAvailable()).toBe(false);
    for (const { roomId } of places) {
      for (const command of commandsOf(roomId))
        await expect(command()).rejects.toMatchObject({ code: 'store_unavailable' });
    }
    expect(told).toEqual([false]);
    await Promise.all(places.map(({ master }) => master.restart()));
    await waitFor('the cluster to be available', () => store.isAvailable());
    expect(told[1]).toBe(true);
    for (const { roomId } of places) await waitFor(`${roomId} to be served`, () => place(roomId));
  });
});
