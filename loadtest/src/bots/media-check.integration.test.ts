import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Bot } from './bot.ts';
import { joinCluster } from './join-cluster.ts';
import { endMediaLinks } from './media-link.ts';

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ edges: 1, mediaNodes: 1, workers: 1, web: false, logLevel: 'warn' });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

it('[SE17] who asks for media hears that the node sends, as long as it does', async () => {
  const [speaker, listener] = [await join('speaker'), await join('listener')];
  let sentPackets = 0;
  const onSend = (): void => {
    sentPackets += 1;
  };
  const trackId = await speaker.publish('audio', { onSend });
  await listener.subscribe([trackId]);
  await listener.mediaArrived(60_000);
  const before = (await listener.checkMedia()).sentBytes ?? Number.NaN;
  expect(before).toBeGreaterThan(0);
  const sendsOn = async (): Promise<boolean> => ((await listener.checkMedia()).sentBytes ?? 0) > before;
  await waitFor('the node to have sent more', sendsOn);
  await listener.setPaused([trackId], true);
  const paused = await listener.checkMedia();
  const packets = sentPackets;
  await waitFor('the speaker to speak on', () => sentPackets > packets + 10);
  expect(await listener.checkMedia()).toEqual(paused);
  expect(paused.alive).toBe(true);
  await Promise.all([speaker.leave(), listener.leave()]);
});

function join(name: string): Promise<Bot> {
  return joinCluster(cluster, { roomId: 'media-check', name, canPublish: true, subscribes: false });
}
