import { waitFor } from '@plenary/cluster/testing/wait-for';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { Bot, endMediaLinks, makeJoinToken } from '@plenary/loadtest/bots';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PoisoningRelay } from './harness/poisoning-relay.ts';
import { readMetrics } from './harness/metrics.ts';

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ edges: 1, mediaNodes: 1, workers: 1, web: false, logLevel: 'warn' });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

const join = (roomId: string, name: string, edgeUrl = edge().url): Promise<Bot> =>
  Bot.join({
    edgeUrl,
    roomId,
    name,
    canPublish: true,
    subscribes: name === 'listener',
    token: makeJoinToken(cluster, { subject: name, roomId }),
  });

function edge() {
  const [first] = cluster.edges;
  if (first === undefined) throw new Error('the cluster has no edge');
  return first;
}

test.each(['first', 'later'])(
  '[MS4] a bot that cannot receive one consumer among the %s ones reports it, and receives all others',
  async (when) => {
    const [bad, good] = [await join(when, 'bad'), await join(when, 'good')];
    const relay = await PoisoningRelay.start(edge().url);
    const failures = async (): Promise<number> =>
      (await readMetrics(edge().operatorUrl)).get('plenary_edge_consumer_failures_total') ?? 0;
    const before = await failures();
    const early = when === 'later' ? await join(when, 'listener', relay.url) : undefined;
    const poisoned = await bad.publish('audio');
    relay.poison(poisoned);
    const wanted = await good.publish('audio');
    const listener = early ?? (await join(when, 'listener', relay.url));
    await waitFor('the good voice', () => listener.received.some(({ packets }) => packets > 0));
    await waitFor('the report of the failure', async () => (await failures()) > before);
    expect(listener.received.map(({ trackId }) => trackId)).toEqual([wanted]);
    expect(listener.problems).toEqual([
      `${poisoned} cannot be taken: audio/opus has another payload type than in the cluster.`,
    ]);
    expect(await failures()).toBe(before + 1);
    await Promise.all([bad, good, listener].map((bot) => bot.leave()));
    await relay.stop();
  },
);

test('[MS26] a bot that requests a track twice, as when a join and an event announce it, keeps receiving it', async () => {
  const [speaker, listener] = [await join('twice', 'speaker'), await join('twice', 'listener')];
  const track = await speaker.publish('audio');
  const packets = (): number => listener.received.find(({ trackId }) => trackId === track)?.packets ?? 0;
  await waitFor('the voice', () => packets() > 0);
  await listener.subscribe([track]);
  const before = packets();
  await waitFor('more of the voice', () => packets() > before + 10);
  expect(listener.problems).toEqual([]);
  await Promise.all([speaker, listener].map((bot) => bot.leave()));
});
