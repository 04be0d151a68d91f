import type { EventEmitter } from 'node:events';
import { observer } from 'mediasoup';
import { expect, test } from 'vitest';
import { untilFreed } from '../testing/metric-values.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode, testRoom } from '../testing/test-node.ts';

/** The largest number of listeners on any mediasoup object, by its kind and the event. */
function watchListeners(): () => Record<string, number> {
  const watched: { readonly kind: string; readonly emitter: EventEmitter }[] = [];
  const watch = (kind: string, object: EventEmitter & { readonly observer: EventEmitter }): void => {
    watched.push({ kind, emitter: object }, { kind: `${kind}.observer`, emitter: object.observer });
  };
  observer.on('newworker', (worker) => {
    watch('worker', worker);
    worker.observer.on('newwebrtcserver', (server) => watch('server', server));
    worker.observer.on('newrouter', (router) => {
      watch('router', router);
      router.observer.on('newtransport', (transport) => {
        watch('transport', transport);
        transport.observer.on('newproducer', (producer) => watch('producer', producer));
        transport.observer.on('newconsumer', (consumer) => watch('consumer', consumer));
      });
    });
  });
  return () => {
    const most: Record<string, number> = {};
    for (const { kind, emitter } of watched) {
      for (const event of emitter.eventNames()) {
        const name = `${kind} ${String(event)}`;
        most[name] = Math.max(most[name] ?? 0, emitter.listenerCount(event));
      }
    }
    return most;
  };
}

test('[PI11] further viewers add no event listeners, behind a pipe or not', async () => {
  const listeners = watchListeners();
  const store = new TestNodeStore();
  const roomId = testRoom('crowded');
  const [home, away] = [await startTestNode(store), await startTestNode(store)];
  const [edge, awayEdge] = [await connectEdge(home), await connectEdge(away)];
  const publisher = await TestPeer.admit(store, home, edge, roomId);
  const tracks = [await publisher.publish('camera'), await publisher.publish('microphone')];
  const people = [publisher];
  const admitMore = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      people.push(await TestPeer.admit(store, home, edge, roomId, tracks));
      people.push(await TestPeer.admit(store, away, awayEdge, roomId, tracks));
    }
  };
  await admitMore(2);
  const ofFew = listeners();
  expect(Object.keys(ofFew).length).toBeGreaterThan(5);
  await admitMore(20);
  expect(listeners()).toEqual(ofFew);
  for (const peer of people) await peer.leave(store);
  for (const { node } of [home, away]) {
    await untilFreed(node.metrics);
    await node.stop();
  }
  edge.close();
  awayEdge.close();
});
