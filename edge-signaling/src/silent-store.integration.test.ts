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
  let round = 0;
  /** @returns how many messages were heard one after the other before the dead connection was given up */
  const heardMeanwhile = async (): Promise<number> => {
    const room = `local-${(round += 1)}`;
    const [ann, bob] = [await cluster.client(), await cluster.client()];
    await ann.join(room);
    await bob.join(room);
    await waitFor('a connection to lose', () => relay.lose('everything', 'publisher') > 0);
    let heard = 0;
    // As many as a person may send at once.
    while (relay.heldOnTo > 0 && heard < 5) {
      const text = `message ${heard}`;
      await ann.callOnce('chat.post', { requestId: text.replace(' ', '-'), text });
      await bob.event((event) => event.type === 'chat.posted' && event.message.text === text, text);
      if (relay.heldOnTo > 0) heard += 1;
    }
    await waitFor('the dead connection to be given up', () => relay.heldOnTo === 0);
    return heard;
  };
  // The connection is given up after 2.5 s: if each message waited for its publication, it were one or two, whenever this is tried. On a
  // machine that stands still for so long it is tried again.
  await waitFor('more than three messages', async () => (await heardMeanwhile()) > 3);
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
