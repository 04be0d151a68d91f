/** Media nodes in separate networks: clients reach other addresses of a node than the other nodes do. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { whyNoDatacenters } from '@plenary/deploy/local-cluster';
import type { LocalDatacenters } from '@plenary/deploy/local-cluster';
import { endMediaLinks } from '@plenary/loadtest/bots';
import type { Bot } from '@plenary/loadtest/bots';
import { SpanningCluster } from '@plenary/loadtest/spanning';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { until } from './harness/until.ts';

const fault = await whyNoDatacenters();
const why = fault === undefined ? '' : ` – skipped: ${fault}`;
const DATACENTERS = [
  { name: 'gra', mediaNodes: 1 },
  { name: 'sbg', mediaNodes: 1 },
];

const run = promisify(execFile);
const ip = async (...args: string[]): Promise<void> => {
  await run('ip', args);
};

/** An address of a node that clients on this machine reach and other nodes do not, since no datacenter has a route to it. */
const publicAddress = (datacenters: LocalDatacenters, index: number): string =>
  datacenters.hostAddress.replace(/^198\.18\./, '198.19.').replace(/\.\d+$/, `.${index + 1}`);

async function givePublicAddresses(datacenters: LocalDatacenters): Promise<void> {
  for (const index of DATACENTERS.keys()) {
    const { namespace = '', host = '' } = datacenters.mediaNode(index);
    const address = publicAddress(datacenters, index);
    await ip('-n', namespace, 'address', 'add', `${address}/32`, 'dev', 'lo');
    await ip('route', 'add', `${address}/32`, 'via', host);
  }
}

const packetsOf = (bot: Bot, trackId: string): number =>
  bot.received.find((stream) => stream.trackId === trackId)?.packets ?? 0;

let spanning: SpanningCluster | undefined;
afterEach(async () => {
  await spanning?.everybodyLeaves();
  await spanning?.stop();
  spanning = undefined;
});
afterAll(endMediaLinks);

describe.skipIf(fault !== undefined)(`media nodes whose public addresses are for clients alone${why}`, () => {
  async function start(pipeAddressOf: (listenIp: string, index: number) => string): Promise<SpanningCluster> {
    spanning = await SpanningCluster.start({
      datacenters: DATACENTERS,
      prepare: givePublicAddresses,
      mediaNode: (index, datacenters) => {
        const address = publicAddress(datacenters, index);
        const { listenIp = '' } = datacenters.mediaNode(index);
        return {
          listenIp: address,
          announcedAddress: address,
          env: { PLENARY_PIPE_ADDRESS: pipeAddressOf(listenIp, index) },
        };
      },
      env: { PLENARY_LOG_LEVEL: 'info' },
    });
    return spanning;
  }

  async function eachHearsTheOther(cluster: SpanningCluster): Promise<void> {
    const people = [
      await cluster.join('spanning', 'gra', { canPublish: true }),
      await cluster.join('spanning', 'sbg', { canPublish: true }),
    ];
    const tracks = await Promise.all(people.map((bot) => bot.publish('audio')));
    await until(
      'each receives the track of the other',
      () =>
        people.map((bot, index) => ({
          packets: packetsOf(bot, tracks[1 - index] ?? ''),
          problems: bot.problems,
        })),
      (seen) => seen.every(({ packets }) => packets >= 20),
    );
    expect(people.flatMap(({ problems }) => problems)).toEqual([]);
  }

  it('[PI12] connect their pipes over their pipe addresses', async () => {
    const cluster = await start((listenIp) => listenIp);
    const sentBefore = (await cluster.datacenters.sent('gra', 'sbg')).packets;
    await eachHearsTheOther(cluster);
    // The packets use the cable between the two, which clients and control links do not use.
    expect((await cluster.datacenters.sent('gra', 'sbg')).packets).toBeGreaterThan(sentBefore + 15);
  });
});

describe.skipIf(fault !== undefined)(`a media node with several addresses${why}`, () => {
  /** A second address of the node's interface; the system prefers the first one for outgoing packets. */
  const secondAddress = (datacenters: LocalDatacenters): string =>
    datacenters.hostAddress.replace(/\.\d+$/, '.20');
  /** An address reserved for documentation, which no machine has. */
  const UNREACHABLE = '192.0.2.1';

  async function start(announced: (datacenters: LocalDatacenters) => string): Promise<SpanningCluster> {
    spanning = await SpanningCluster.start({
      datacenters: DATACENTERS.slice(0, 1),
      prepare: async (datacenters) => {
        const { namespace = '' } = datacenters.mediaNode(0);
        await ip('-n', namespace, 'address', 'add', `${secondAddress(datacenters)}/27`, 'dev', 'host');
      },
      mediaNode: (_index, datacenters) => ({ listenIp: '0.0.0.0', announcedAddress: announced(datacenters) }),
    });
    return spanning;
  }

  it.each([
    [
      '[AD5] lets people hear each other over the announced address, and listens on every interface',
      secondAddress,
    ],
    [
      '[AD7] is reached over the internal address when the public one is unreachable',
      (datacenters: LocalDatacenters) => `${UNREACHABLE},${secondAddress(datacenters)}`,
    ],
  ])('%s', async (_title, announced) => {
    const cluster = await start(announced);
    const [speaker, listener] = [
      await cluster.join('several', 'gra', { canPublish: true }),
      await cluster.join('several', 'gra'),
    ];
    const track = await speaker.publish('audio');
    await until(
      'the track is received',
      () => packetsOf(listener, track),
      (count) => count >= 20,
    );
  });
});
