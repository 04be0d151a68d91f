import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { MEDIA_NODE_ID, ROUTER_ID, TRACK_ID, familyOf, silentLogger } from '@plenary/cluster';
import type { TrackId } from '@plenary/cluster';
import { afterEach, describe, expect, test } from 'vitest';
import type { MediaAddress, MediaAddresses } from '../media-address.ts';
import { createMetrics } from '../metrics.ts';
import { PipeHomes } from '../pipe/pipe-homes.ts';
import { vp8Packet, vp8Parameters } from '../testing/rtp.ts';
import { testConfig } from '../testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { room } from '@plenary/cluster/testing/samples';
import { planPorts } from './port-plan.ts';
import type { RoomRouter } from './room-router.ts';
import { WorkerPool } from './worker-pool.ts';

const endings: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const addressOf = (listenIp: string, announced = listenIp): MediaAddress => ({
  family: familyOf(announced),
  listenIp,
  announced,
});

/** A router on its own worker, as on another node. */
async function startRouter(addresses: MediaAddresses): Promise<RoomRouter> {
  const { portSlice, workerBin } = testConfig();
  const ports = planPorts(portSlice, 1);
  if ('fault' in ports) throw new Error(ports.fault);
  const pool = new WorkerPool({
    metrics: createMetrics(false),
    logger: silentLogger(),
    addresses,
    ports,
    workerBin,
  });
  await pool.start();
  endings.push(() => pool.close());
  const router = await pool.worker(0)?.createRouter();
  if (router === undefined) throw new Error('no worker');
  return router;
}

/** A track on a router that a plain socket feeds with RTP. */
async function feedTrack(router: RoomRouter): Promise<TrackId> {
  const entry = await router.createPipeTransport({ reach: 'loopback', srtp: false }, () => undefined);
  const { address, port } = entry.end;
  const source = createSocket(familyOf(address) === 'ipv6' ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => {
    source.bind(0, address, resolve);
  });
  await entry.connect({ address, port: source.address().port });
  const trackId = TRACK_ID.parse('the-track');
  const rtpParameters = vp8Parameters();
  await entry.produce({ producerId: trackId, kind: 'video', rtpParameters, paused: false }, () => undefined);
  const ssrc = rtpParameters.encodings?.[0]?.ssrc ?? 0;
  let sequence = 0;
  const feed = setInterval(() => {
    source.send(vp8Packet(ssrc, (sequence += 1)), port, address);
  }, 10);
  endings.push(() => {
    clearInterval(feed);
    source.close();
  });
  return trackId;
}

const FOUR = addressOf('127.0.0.1');
const SIX = addressOf('::1');
const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === '::1'),
);

describe.runIf(hasIpv6)('RTP through a pipe', () => {
  test.each([
    { title: 'of two hosts', family: 'ipv4', srtp: true, home: [addressOf('127.0.0.2')], away: [FOUR] },
    {
      title: 'to a host name',
      family: 'ipv4',
      srtp: true,
      home: [addressOf('127.0.0.1', 'localhost')],
      away: [addressOf('127.0.0.2')],
    },
    { title: 'of IPv6', family: 'ipv6', srtp: false, home: [SIX], away: [SIX] },
    { title: 'of IPv6, encrypted', family: 'ipv6', srtp: true, home: [SIX], away: [SIX] },
    {
      title: 'from a node of both to one of IPv6',
      family: 'ipv6',
      srtp: false,
      home: [FOUR, SIX],
      away: [SIX],
    },
    {
      title: 'from one of IPv4 to one of both',
      family: 'ipv4',
      srtp: false,
      home: [FOUR],
      away: [FOUR, SIX],
    },
    {
      title: 'on every interface',
      family: 'ipv6',
      srtp: true,
      home: [addressOf('0.0.0.0', '127.0.0.1'), addressOf('::', '::1')],
      away: [addressOf('::', '::1')],
    },
  ] as const)('[PS10] flows: $title', async ({ family, srtp, home, away }) => {
    const [homeRouter, awayRouter] = await Promise.all([startRouter(home), startRouter(away)]);
    const trackId = await feedTrack(homeRouter);
    const options = { reach: 'announced', srtp, family } as const;
    const [sends, receives] = await Promise.all([
      homeRouter.createPipeTransport(options, () => undefined),
      awayRouter.createPipeTransport(options, () => undefined),
    ]);
    expect(familyOf(sends.end.address)).toBe(family);
    await Promise.all([sends.connect(receives.end), receives.connect(sends.end)]);
    const ignore = { closed: () => undefined, producerPaused: () => undefined };
    const consumer = await sends.consume(trackId, ignore);
    const { kind, rtpParameters, producerPaused } = consumer;
    await receives.produce(
      { producerId: trackId, kind, rtpParameters, paused: producerPaused },
      () => undefined,
    );
    await waitFor('bytes', async () => (await receives.traffic()).receivedBytes > 2_000);
  });

  test('[PS10] the home side of a pipe opens in the address family of the pulling side', async () => {
    const router = await startRouter([FOUR, SIX]);
    const homes = new PipeHomes(
      MEDIA_NODE_ID.parse('own'),
      createMetrics(false),
      () => Promise.resolve({ router, release: () => undefined }),
      () => Promise.reject(new Error('nothing is sent')),
    );
    const requester = {
      isLocal: false,
      holdPipe: () => () => undefined,
      producerChanged: () => undefined,
      closed: () => undefined,
      moved: () => undefined,
    };
    const srtpParameters = {
      cryptoSuite: 'AEAD_AES_256_GCM',
      keyBase64: randomBytes(44).toString('base64'),
    } as const;
    for (const address of ['127.0.0.1', '::1', 'localhost']) {
      const key = {
        roomId: room('r'),
        fromRouterId: ROUTER_ID.parse('theirs'),
        toRouterId: router.id,
      };
      const end = await homes.open(
        key,
        { end: { address, port: 9, srtpParameters } },
        'announced',
        requester,
      );
      expect(familyOf(end.address)).toBe(familyOf(address));
    }
  });

  test('[PS25] a family that the node does not announce is refused, and nothing is left open', async () => {
    const router = await startRouter([FOUR]);
    await expect(
      router.createPipeTransport({ reach: 'announced', srtp: true, family: 'ipv6' }, () => undefined),
    ).rejects.toMatchObject({ code: 'media_unavailable' });
    expect((await router.dump()).transportIds).toEqual([]);
  });
});
