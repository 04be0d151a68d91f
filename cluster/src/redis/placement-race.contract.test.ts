import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toPlenaryError } from '../errors.ts';
import type { Placement, PlaceRequest } from '../room/placement-store.ts';
import { PlacerProcess } from '../testing/placer-process.ts';
import type { RaceAnswer } from '../testing/placer-process.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestStore } from '../testing/redis-server.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { ClusterStore } from './connect.ts';

const PROCESSES = 8;
const CALLS_EACH = 8;
const CALLS = PROCESSES * CALLS_EACH;
/** Long enough for the tasks to reach all processes, so that they begin together. */
const HEAD_START_MS = 50;

describe.each<readonly [string, () => Promise<TestStore>]>([
  ['Redis', startRedisServer],
  ['Redis Cluster', startRedisCluster],
])('%s, asked by eight processes at once', (_kind, start) => {
  let server: TestStore;
  let store: ClusterStore;
  let placers: readonly PlacerProcess[];
  beforeAll(async () => {
    server = await start();
    store = await connectTestStore(server.address);
    placers = await Promise.all(
      Array.from({ length: PROCESSES }, async () => PlacerProcess.start(server.address)),
    );
  });
  afterAll(async () => {
    await Promise.all(placers.map((placer) => placer.stop()));
    await store.close();
    await server.stop();
  });

  /** Makes 64 requests at one moment, eight in each process. */
  async function race(requestOf: (call: number) => PlaceRequest): Promise<readonly RaceAnswer[]> {
    const atMs = Date.now() + HEAD_START_MS;
    const answers = await Promise.all(
      placers.map(async (placer, index) => {
        const ofPlacer = Array.from({ length: CALLS_EACH }, (_, call) =>
          requestOf(index * CALLS_EACH + call),
        );
        const first = await placer.race(ofPlacer, atMs);
        // As edges do: whoever was not answered in time, on a machine that stood still, asks again.
        return Promise.all(
          first.map(async (answer, call) => (isUnanswered(answer) ? again(ofPlacer[call]) : answer)),
        );
      }),
    );
    return answers.flat();
  }

  const isUnanswered = ({ refused }: RaceAnswer): boolean => refused === 'store_unavailable';

  async function again(asked: PlaceRequest | undefined): Promise<RaceAnswer> {
    if (asked === undefined) throw new Error('nothing was asked');
    return waitFor('the store to answer', async () => {
      try {
        return { placement: await store.placements.placePeer(asked) };
      } catch (fault) {
        const { code } = toPlenaryError(fault);
        return code !== 'store_unavailable' && { refused: code };
      }
    });
  }

  /** What edge number `call` asks for: each has chosen another node. */
  const requestOf = (name: string, call: number, changes: Partial<PlaceRequest> = {}): PlaceRequest => ({
    roomId: room(name),
    peerId: peer('ann'),
    requestId: request('join-ann'),
    edgeId: edge(`edge-${call}`),
    mediaNodeId: mediaNode(`node-${call}`),
    maxPeers: 1_000,
    ...changes,
  });

  const placementsOf = (answers: readonly RaceAnswer[]): readonly Placement[] =>
    answers.flatMap(({ placement }) => (placement === undefined ? [] : [placement]));

  it.each([1, 2, 3, 4, 5])(
    '[PL3] gives 64 placements of one peer one answer and one epoch (%i)',
    async (round) => {
      const name = `one-${round}`;
      const placed = placementsOf(await race((call) => requestOf(name, call)));
      expect(placed).toHaveLength(CALLS);
      expect(new Set(placed.map((placement) => JSON.stringify(placement))).size).toBe(1);
      expect(await store.placements.list(room(name))).toEqual(placed.slice(0, 1));
    },
  );

  it('[PL3] makes one room of 64 simultaneous joins, each placed once', async () => {
    const ofPeer = (call: number): PlaceRequest =>
      requestOf('new', call, { peerId: peer(`peer-${call}`), requestId: request(`join-${call}`) });
    const placed = placementsOf(await race(ofPeer));
    expect(placed.map(({ peerId, mediaNodeId }) => [peerId, mediaNodeId])).toEqual(
      Array.from({ length: CALLS }, (_, call) => [`peer-${call}`, `node-${call}`]),
    );
    expect(new Set(placed.map(({ epoch }) => epoch)).size).toBe(CALLS);
    const byPeer = (left: Placement, right: Placement): number => (left.peerId < right.peerId ? -1 : 1);
    expect([...(await store.placements.list(room('new')))].sort(byPeer)).toEqual([...placed].sort(byPeer));
    expect((await store.placements.view(room('new'))).occupancy.peerCount).toBe(CALLS);
    // Whoever asks again, anywhere, hears the same.
    expect(placementsOf(await race(ofPeer))).toEqual(placed);
  });

  it('[EP8] lets one of 64 replacements of an epoch win, and gives all its result', async () => {
    const first = await store.placements.placePeer(requestOf('moved', 0));
    const placed = placementsOf(
      await race((call) => requestOf('moved', call + 1, { replacesEpoch: first.epoch })),
    );
    expect(placed).toHaveLength(CALLS);
    expect(new Set(placed.map((placement) => JSON.stringify(placement))).size).toBe(1);
    expect(placed[0]?.epoch).toBeGreaterThan(first.epoch);
  });

  it('[PL4] admits no more peers than the room’s limit', async () => {
    const answers = await race((call) =>
      requestOf('full', call, { peerId: peer(`peer-${call}`), maxPeers: 10 }),
    );
    expect(placementsOf(answers)).toHaveLength(10);
    expect(answers.filter(({ refused }) => refused === 'room_full')).toHaveLength(CALLS - 10);
    expect(await store.placements.list(room('full'))).toHaveLength(10);
  });
});
