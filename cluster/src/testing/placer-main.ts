/** The process behind `PlacerProcess`: takes one task at a time over IPC, and ends with its parent. */
import { setTimeout as after } from 'node:timers/promises';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { PlenaryError } from '../errors.ts';
import { silentLogger } from '../process/logging.ts';
import { connectClusterStore } from '../redis/connect.ts';
import type { PlacementStore, PlaceRequest } from '../room/placement-store.ts';
import { PLACER_TASK, STORE_ADDRESS } from './placer-process.ts';
import type { LoadPlan, LoadResult, PlacerAnswer, RaceAnswer } from './placer-process.ts';
import { edge, mediaNode, peer, request, room } from './samples.ts';
import { waitFor } from './wait-for.ts';

/** How often a paced load looks for what is due, in milliseconds. */
const TICK_MS = 1;

async function race(
  placements: PlacementStore,
  requests: readonly PlaceRequest[],
  atMs: number,
): Promise<RaceAnswer[]> {
  await after(Math.max(0, atMs - Date.now()));
  return Promise.all(
    requests.map(async (placing): Promise<RaceAnswer> => {
      try {
        return { placement: await placements.placePeer(placing) };
      } catch (error) {
        if (error instanceof PlenaryError) return { refused: error.code };
        throw error;
      }
    }),
  );
}

/** Places ever new peers into ever new rooms. */
async function load(placements: PlacementStore, plan: LoadPlan): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  let [begun, failed] = [0, 0];
  const startMs = performance.now();
  const endMs = startMs + plan.durationMs;

  const place = async (dueMs: number): Promise<void> => {
    const roomId = room(`${plan.name}-${Math.floor(begun / plan.peersPerRoom)}`);
    const peerId = peer(`peer-${begun}`);
    begun += 1;
    try {
      const home = plan.readsRoom ? await homeOf(placements, roomId) : mediaNode('node-a');
      await placements.placePeer({
        roomId,
        peerId,
        requestId: request('join'),
        edgeId: edge(plan.name),
        mediaNodeId: home,
        maxPeers: 1_000,
      });
      latenciesMs.push(performance.now() - dueMs);
    } catch (error) {
      if (!(error instanceof PlenaryError)) throw error;
      failed += 1;
    }
  };
  if (plan.perSecond === undefined) await saturate(plan.inFlight, endMs, place);
  else await keepPace(plan.perSecond, startMs, endMs, place);
  return { latenciesMs, failed, tookMs: performance.now() - startMs };
}

/** The node that hosts the room already, as the ladder packs small rooms. */
async function homeOf(placements: PlacementStore, roomId: PlaceRequest['roomId']) {
  const [hosting] = (await placements.view(roomId)).occupancy.peersByNode.keys();
  return hosting ?? mediaNode('node-a');
}

type Place = (dueMs: number) => Promise<void>;

/** So many under way at all times. */
async function saturate(inFlight: number, endMs: number, place: Place): Promise<void> {
  const lane = async (): Promise<void> => {
    while (performance.now() < endMs) await place(performance.now());
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** Each begun when it is due, whether or not those before are answered: what waits counts as waiting. */
async function keepPace(perSecond: number, startMs: number, endMs: number, place: Place): Promise<void> {
  const underWay: Promise<void>[] = [];
  const everyMs = 1_000 / perSecond;
  for (let dueMs = startMs; dueMs < endMs;) {
    for (const nowMs = performance.now(); dueMs <= nowMs; dueMs += everyMs) underWay.push(place(dueMs));
    await after(TICK_MS);
  }
  await Promise.all(underWay);
}

const store = connectClusterStore({
  address: STORE_ADDRESS.parse(JSON.parse(z.string().parse(process.argv[2]))),
  namespace: DEFAULT_NAMESPACE,
  connectionName: 'placer',
  logger: silentLogger(),
});
const answer = (message: PlacerAnswer): void => {
  process.send?.(message);
};
process.on('disconnect', () => {
  void store.close();
});
process.on('message', (message) => {
  const task = PLACER_TASK.parse(message);
  if (task.type === 'race')
    void race(store.placements, task.requests, task.atMs).then((answers) =>
      answer({ type: 'race', answers }),
    );
  else void load(store.placements, task.plan).then((result) => answer({ type: 'load', result }));
});
await waitFor('the store', () => store.isAvailable());
answer({ type: 'ready' });
