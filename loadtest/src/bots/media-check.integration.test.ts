import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Bot } from './bot.ts';
import { joinCluster } from './join-cluster.ts';
import { endMediaLinks } from './bot-transport.ts';

/** Packets of 20 ms each, which take longer than the interval at which the node updates its count. */
const PACKETS_PER_COUNT = 25;

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ edges: 1, mediaNodes: 1, workers: 1, web: false, logLevel: 'warn' });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

it('[SE50] a media check tells that the node sends, as long as it does', async () => {
  const [speaker, listener] = [await join('speaker'), await join('listener')];
  let sentPackets = 0;
  const onSend = (): void => {
    sentPackets += 1;
  };
  const trackId = await speaker.publish('audio', { onSend });
  await listener.subscribe([trackId]);
  await listener.mediaArrived(60_000);
  const sentBytes = async (): Promise<number> => (await listener.checkMedia()).sentBytes ?? 0;
  const before = await waitFor('the node to have sent', async () => (await sentBytes()) || undefined);
  await waitFor('the node to have sent more', async () => (await sentBytes()) > before);
  await listener.setPaused([trackId], true);
  let counted = 0;
  // The node repeats a count for a while, so two counts only differ in time if they are further apart than that.
  const restsWhileTheSpeakerSpeaks = async (): Promise<boolean> => {
    const packets = sentPackets;
    await waitFor('the speaker to speak on', () => sentPackets > packets + PACKETS_PER_COUNT);
    const last = counted;
    counted = await sentBytes();
    return counted === last && counted > 0;
  };
  await waitFor('the node to send no more', restsWhileTheSpeakerSpeaks);
  expect((await listener.checkMedia()).alive).toBe(true);
  await Promise.all([speaker.leave(), listener.leave()]);
});

function join(name: string): Promise<Bot> {
  return joinCluster(cluster, { roomId: 'media-check', name, canPublish: true, subscribes: false });
}
