import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { TrackId } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { joinCluster } from './join-cluster.ts';
import { endMediaLinks } from './bot-transport.ts';
import type { Bot } from './bot.ts';

/** The limit for all tracks of one person here, in kbit/s; the sender below sends ten times as much. */
const LIMIT_KBIT = 200;

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    web: false,
    logLevel: 'warn',
    mediaNode: () => ({ env: { PLENARY_MAX_INCOMING_KBIT: String(LIMIT_KBIT) } }),
  });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

function join(name: string): Promise<Bot> {
  return joinCluster(cluster, { roomId: 'over-limit', name, canPublish: true, subscribes: false });
}

const packetsOf = (bot: Bot, ofTrack: TrackId): number =>
  bot.received.find(({ trackId }) => trackId === ofTrack)?.packets ?? 0;

it('[MS5] a publisher of ten times the limit is warned, paused, ended and dropped; nobody else is', async () => {
  const [flooder, speaker, listener] = [await join('flooder'), await join('speaker'), await join('listener')];
  const flood = await flooder.publish('video', { intervalMs: 4, payloadBytes: 1_000 });
  const voice = await speaker.publish('audio');
  await listener.subscribe([flood, voice]);
  await listener.mediaArrived(60_000);
  const steps = (): string => flooder.problems.join(', ');
  const floodStands = async (): Promise<boolean> => {
    const [before, heard] = [packetsOf(listener, flood), packetsOf(listener, voice)];
    await waitFor('the voice to go on', () => packetsOf(listener, voice) > heard + 25);
    return packetsOf(listener, flood) === before;
  };

  await waitFor('the warning', () => steps().startsWith('sends more than it may: warned'));
  const stood = await floodStands();
  // The node sends no notice of a warning that the pause has already followed.
  if (!steps().includes('paused')) expect(stood).toBe(false);
  await waitFor('the pause', () => steps().includes('paused'));
  await waitFor('the flood to stand', floodStands);
  await waitFor('the end', () => listener.hasEnded(flood));
  await waitFor('the loss', () => steps().includes('media lost: transport_failed'));
  // The flooder opens another media session and continues.
  expect(flooder.problems.slice(0, 4)).toEqual([
    'sends more than it may: warned',
    'sends more than it may: paused',
    'sends more than it may: ended',
    'media lost: transport_failed',
  ]);
  expect([...speaker.problems, ...listener.problems]).toEqual([]);
  await Promise.all([flooder, speaker, listener].map((bot) => bot.leave()));
});
