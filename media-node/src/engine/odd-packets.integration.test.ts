import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS, ROUTER_RTP_CAPABILITIES, RTP_PARAMETERS } from '@plenary/cluster/protocol';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { longForm, OddPackets } from '../testing/odd-packets.ts';
import type { OddStream } from '../testing/odd-packets.ts';
import { vp8Packet } from '../testing/rtp.ts';
import { testConfig } from '../testing/test-node.ts';

const SEED = Number(process.env['PLENARY_FUZZ_SEED'] ?? 11);
const ROUNDS = Number(process.env['PLENARY_FUZZ_ROUNDS'] ?? 100);
const PACKETS_PER_ROUND = 100;

const PUBLISHED = [
  { codec: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2, layers: [undefined] },
  { codec: 'video/VP8', payloadType: 96, clockRate: 90_000, layers: ['L1T3', 'L1T3', 'L1T3'] },
  { codec: 'video/VP9', payloadType: 98, clockRate: 90_000, layers: ['L3T3_KEY'] },
  { codec: 'video/H264', payloadType: 108, clockRate: 90_000, layers: ['L1T3', 'L1T3'] },
] as const;
const H264 = { 'packetization-mode': 1, 'level-asymmetry-allowed': 1, 'profile-level-id': '42e01f' };

let worker: types.Worker;
let death: Error | undefined;
beforeEach(async () => {
  const workerBin = testConfig().workerBin;
  worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  death = undefined;
  worker.on('died', (error) => {
    death = error;
  });
});
afterEach(() => worker.close());

/** A sender of all codecs with every header extension, and a viewer of everything. */
async function meeting() {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  const listenInfo = { protocol: 'udp', ip: '127.0.0.1' } as const;
  const sending = await router.createPlainTransport({ listenInfo, comedia: true });
  const receiving = await router.createPlainTransport({ listenInfo });
  await receiving.connect({ ip: '127.0.0.1', port: socket.address().port });
  const streams: OddStream[] = [];
  const consumers: types.Consumer[] = [];
  let ssrc = 1_000;
  for (const [index, { codec, layers, payloadType, ...more }] of PUBLISHED.entries()) {
    const kind = codec.startsWith('audio') ? 'audio' : 'video';
    const headerExtensions = (ROUTER_RTP_CAPABILITIES.headerExtensions ?? [])
      .filter((known) => known.kind === kind)
      .map(({ uri, preferredId }) => ({ uri, id: preferredId }));
    const encodings = layers.map((scalabilityMode) => {
      ssrc += 10;
      streams.push({ codec, payloadType, ssrc, extensionIds: headerExtensions.map(({ id }) => id) });
      return { ssrc, ...(scalabilityMode === undefined ? {} : { scalabilityMode }) };
    });
    const parameters = codec === 'video/H264' ? { parameters: H264 } : {};
    const rtpParameters = RTP_PARAMETERS.parse({
      mid: String(index),
      codecs: [{ mimeType: codec, payloadType, ...more, ...parameters }],
      headerExtensions,
      encodings,
    });
    const producer = await sending.produce({ kind, rtpParameters: structuredClone(rtpParameters) });
    consumers.push(
      await receiving.consume({
        producerId: producer.id,
        rtpCapabilities: structuredClone(ROUTER_RTP_CAPABILITIES),
      }),
    );
  }
  const witness = await sending.produce({
    kind: 'video',
    rtpParameters: {
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }],
      encodings: [{ ssrc: 99 }],
    },
  });
  let sequence = 0;
  return {
    streams,
    asked: consumers.flatMap(({ rtpParameters }) =>
      (rtpParameters.encodings ?? []).flatMap((one) => one.ssrc ?? []),
    ),
    send: (packet: Buffer): void => socket.send(packet, sending.tuple.localPort, '127.0.0.1'),
    answer: (packet: Buffer): void => socket.send(packet, receiving.tuple.localPort, '127.0.0.1'),
    /** Everything that was sent so far has been dealt with, or the worker has died of it. */
    settled: async (): Promise<void> => {
      const packets = async (): Promise<number> => (await witness.getStats())[0]?.packetCount ?? 0;
      const before = death === undefined ? await packets() : 0;
      await waitFor('the worker to count one more packet', async () => {
        if (death !== undefined) return true;
        socket.send(vp8Packet(99, (sequence += 1)), sending.tuple.localPort, '127.0.0.1');
        return (await packets().catch(() => 0)) > before;
      });
    },
    close: (): void => {
      socket.close();
    },
  };
}

test('[WK11] header extensions without a value end no worker', async () => {
  const { streams, send, settled, close } = await meeting();
  for (const stream of streams) {
    for (const id of stream.extensionIds)
      send(longForm(stream, id, [[id, new Uint8Array()]], Buffer.alloc(50)));
    send(
      longForm(
        stream,
        300,
        stream.extensionIds.map((id) => [id, new Uint8Array()] as const),
        Buffer.alloc(50),
      ),
    );
  }
  await settled();
  close();
  expect(death).toBeUndefined();
});

test('[WK11] packets of any form, of senders and of viewers, end no worker', async () => {
  const { streams, asked, send, answer, settled, close } = await meeting();
  const odd = new OddPackets(seededRandom(SEED));
  for (let round = 0; round < ROUNDS && death === undefined; round += 1) {
    for (let count = 0; count < PACKETS_PER_ROUND; count += 1) {
      const stream = streams[(round * PACKETS_PER_ROUND + count) % streams.length];
      if (stream === undefined) throw new Error('nobody sends');
      send(odd.rtp(stream));
      if (count % 4 === 0) answer(odd.rtcp(asked));
      if (count % 8 === 0) send(odd.rtcp(streams.map(({ ssrc }) => ssrc)));
    }
    await settled();
  }
  close();
  expect(death, `seed ${SEED}`).toBeUndefined();
});
