import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toPlenaryError } from '@plenary/cluster';
import type { ConsumerId, ControlRequestInput } from '@plenary/cluster';
import { untilFreed } from '../testing/metric-values.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode, testRoom } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';

const store = new TestNodeStore();
let home: TestNode;
let away: TestNode;
let homeEdge: TestEdge;
let awayEdge: TestEdge;

type Change = Omit<ControlRequestInput<'consumers.update'>['consumers'][number], 'consumerId'>;

beforeAll(async () => {
  home = await startTestNode(store);
  away = await startTestNode(store);
  homeEdge = await connectEdge(home);
  awayEdge = await connectEdge(away);
});

afterAll(async () => {
  homeEdge.close();
  awayEdge.close();
  await home.node.stop();
  await away.node.stop();
});

async function allLeave(...peers: readonly TestPeer[]): Promise<void> {
  for (const peer of peers) await peer.leave(store);
  for (const { node } of [home, away]) await untilFreed(node.metrics);
}

const change = (viewer: TestPeer, consumerId: ConsumerId, what: Change) =>
  viewer.edge.call('consumers.update', { ...viewer.placed, consumers: [{ consumerId, ...what }] });

/** Publishes a camera and plays it. */
async function watch(publisher: TestPeer, viewer: TestPeer, requestId: string) {
  const track = await publisher.publish('camera', requestId);
  const [consumer] = (await viewer.subscribe([track])).consumers;
  if (consumer === undefined) throw new Error('The camera could not be consumed.');
  await change(viewer, consumer.consumerId, { paused: false });
  return { track, consumerId: consumer.consumerId };
}

describe('a track that ends during a request about it', () => {
  test.each<{ readonly asked: string; readonly what: Change }>([
    { asked: 'a pause', what: { paused: true } },
    { asked: 'layers', what: { preferredLayers: { spatialLayer: 0 } } },
    { asked: 'a priority', what: { priority: 7 } },
  ])('[MS7] costs a viewer who requests $asked only that track', async ({ what }) => {
    const roomId = testRoom('asked');
    const publisher = await TestPeer.admit(store, home, homeEdge, roomId);
    const viewer = await TestPeer.admit(store, home, homeEdge, roomId);
    const { track, consumerId } = await watch(publisher, viewer, 'camera');
    // Both are sent in one turn: the worker ends the consumer before it reads the request.
    const answers = await Promise.allSettled([
      homeEdge.call('track.end', { ...publisher.placed, trackId: track.trackId }),
      change(viewer, consumerId, what),
    ]);
    expect(answers.map(outcomeOf)).toEqual(['ok', 'ok']);
    await allLeave(publisher, viewer);
  });

  test('[MS7] costs a viewer on another node only that track, whenever the request comes', async () => {
    const roomId = testRoom('away');
    const publisher = await TestPeer.admit(store, home, homeEdge, roomId);
    const viewer = await TestPeer.admit(store, away, awayEdge, roomId);
    for (let round = 0; round < 5; round += 1) {
      const { track, consumerId } = await watch(publisher, viewer, `camera-${round}`);
      const ending = homeEdge.call('track.end', { ...publisher.placed, trackId: track.trackId });
      let ended = false;
      const isEnded = ending.then(() => (ended = true));
      const outcomes: string[] = [];
      // The end reaches the viewer's node while one of these requests is on its way to the worker.
      for (let paused = true; !ended || outcomes.length < 40; paused = !paused) {
        const asking = [
          change(viewer, consumerId, { paused }),
          change(viewer, consumerId, { paused: !paused }),
        ];
        outcomes.push(...(await Promise.allSettled(asking)).map(outcomeOf));
      }
      await isEnded;
      expect(new Set(outcomes)).toEqual(new Set(['ok']));
    }
    await allLeave(publisher, viewer);
  });

  test('[MS7] is not found by its own publisher, who keeps everything else', async () => {
    const publisher = await TestPeer.admit(store, home, homeEdge, testRoom('own'));
    const { trackId } = await publisher.publish('camera');
    const answers = await Promise.allSettled([
      homeEdge.call('track.pause', { ...publisher.placed, trackId, paused: true }),
      homeEdge.call('track.end', { ...publisher.placed, trackId }),
      homeEdge.call('track.pause', { ...publisher.placed, trackId, paused: false }),
    ]);
    expect(answers.map(outcomeOf)).toEqual(['ok', 'ok', 'track_not_found']);
    await expect(publisher.publish('camera', 'another')).resolves.toMatchObject({ kind: 'video' });
    await allLeave(publisher);
  });
});

function outcomeOf(answer: PromiseSettledResult<unknown>): string {
  return answer.status === 'fulfilled' ? 'ok' : toPlenaryError(answer.reason).code;
}
