/** A real edge whose connections to the store are cut without a word. */
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { SilentRelay } from '@plenary/cluster/testing/silent-relay';
import { afterEach, expect, it } from 'vitest';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
let relay: SilentRelay;
afterEach(async () => {
  await cluster.stop();
  relay.close();
});

async function startRelayed(): Promise<void> {
  const redis = await startRedisServer();
  relay = await SilentRelay.to(redis.port);
  cluster = await TestCluster.startOn(redis, {
    edges: 1,
    mediaNodes: 1,
    edgeSettings: { REDIS_URL: `redis://127.0.0.1:${relay.port}` },
  });
}

it('[HL3] chat among the people of one edge goes on at once while what it publishes by is dead', async () => {
  await startRelayed();
  const [ann, bob] = [await cluster.client(), await cluster.client()];
  await ann.join('local');
  await bob.join('local');
  expect(relay.lose('everything', 'publisher')).toBeGreaterThan(0);
  let heard = 0;
  let heardMeanwhile = 0;
  // As many as a person may send at once.
  while (relay.heldOnTo > 0 && heard < 5) {
    const text = `message ${heard}`;
    await ann.call('chat.post', { requestId: text.replace(' ', '-'), text });
    await bob.event((event) => event.type === 'chat.posted' && event.message.text === text, text);
    heard += 1;
    if (relay.heldOnTo > 0) heardMeanwhile = heard;
  }
  // The connection is given up after 2.5 s: had each message waited for its publication, it had been one or two.
  expect(heardMeanwhile).toBeGreaterThan(3);
});

it('[HL2] when every connection is dead a meeting goes on, and chat is taken again by new ones', async () => {
  await startRelayed();
  const [ann, bob] = [await cluster.client(), await cluster.client()];
  const { media } = await ann.join('cut');
  const { trackId } = await ann.publish(media, 'mic');
  await bob.join('cut');
  expect(relay.lose()).toBeGreaterThan(2);
  expect(await ann.refusal('track.pause', { trackId, paused: true })).toBe('ok');
  await waitFor('every dead connection to be given up', () => relay.heldOnTo === 0);
  await waitFor(
    'chat to be taken',
    async () => (await ann.refusal('chat.post', { requestId: 'chat', text: 'again' })) === 'ok',
  );
  await bob.event((event) => event.type === 'chat.posted' && event.message.text === 'again', 'again');
  expect(ann.isClosed || bob.isClosed).toBe(false);
});
