import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS, ROUTER_RTP_CAPABILITIES, RTP_PARAMETERS } from '@plenary/cluster/protocol';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { onLoopback } from '../testing/loopback.ts';
import { longForm, OddPackets } from '../testing/odd-packets.ts';
import type { OddStream } from '../testing/odd-packets.ts';
import { vp8Packet } from '../testing/rtp.ts';
import { testConfig } from '../testing/test-node.ts';
import { KEY_FRAME_REQUEST_DELAY_MS } from './client-transport.ts';

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

/** The id of a video extension. */
const idOf = (uri: string): number =>
  (ROUTER_RTP_CAPABILITIES.headerExtensions ?? []).find(
    (known) => known.kind === 'video' && known.uri === uri,
  )?.preferredId ?? 0;
const MID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const RID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';

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

/** A sender of all codecs with every header extension, and a viewer of all tracks. */
async function meeting() {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  const sending = await router.createPlainTransport({ listenInfo: await onLoopback('udp'), comedia: true });
  const receiving = await router.createPlainTransport({ listenInfo: await onLoopback('udp') });
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
    socket,
    sending,
    receiving,
    streams,
    asked: consumers.flatMap(({ rtpParameters }) =>
      (rtpParameters.encodings ?? []).flatMap((one) => one.ssrc ?? []),
    ),
    send: (packet: Buffer): void => socket.send(packet, sending.tuple.localPort, '127.0.0.1'),
    answer: (packet: Buffer): void => socket.send(packet, receiving.tuple.localPort, '127.0.0.1'),
    /** Waits until everything sent so far was processed, or the worker died of it. */
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

test('[WK11] a packet with the rid of an encoding and another SSRC than it has ends no worker', async () => {
  const { sending, send, settled, close } = await meeting();
  const [mid, rid] = [idOf(MID_EXTENSION), idOf(RID_EXTENSION)];
  await sending.produce({
    kind: 'video',
    rtpParameters: {
      mid: 'both',
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }],
      headerExtensions: [
        { uri: MID_EXTENSION, id: mid },
        { uri: RID_EXTENSION, id: rid },
      ],
      encodings: [{ ssrc: 500, rid: 'a' }],
    },
  });
  for (const ssrc of [501, 500]) {
    const names = [
      [mid, Buffer.from('both')],
      [rid, Buffer.from('a')],
    ] as const;
    send(longForm({ payloadType: 96, ssrc }, 1, names, Buffer.alloc(50)));
  }
  await settled();
  close();
  expect(death).toBeUndefined();
});

test('[WK13] a worker’s notifications about viewers do not grow with their publishers’ packets', async () => {
  const { sending, receiving, send, settled, close } = await meeting();
  const orientation = idOf('urn:3gpp:video-orientation');
  const producer = await sending.produce({
    kind: 'video',
    rtpParameters: {
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }],
      headerExtensions: [{ uri: 'urn:3gpp:video-orientation', id: orientation }],
      encodings: [
        { ssrc: 500, scalabilityMode: 'L1T3' },
        { ssrc: 501, scalabilityMode: 'L1T3' },
      ],
    },
  });
  const consumer = await receiving.consume({
    producerId: producer.id,
    rtpCapabilities: structuredClone(ROUTER_RTP_CAPABILITIES),
  });
  const beganMs = performance.now();
  let told = 0;
  const note = (): void => {
    told += 1;
  };
  consumer.on('layerschange', note);
  consumer.on('score', note);
  producer.on('score', note);
  producer.on('videoorientationchange', note);
  // Key frames (RFC 7741, 4.2), alternating between the third temporal layer and none.
  const payloads = [Buffer.from([0x90, 0x20, 0xa0, 0, 0, 0]), Buffer.from([0x10, 0, 0, 0])];
  for (let sequence = 1; sequence <= 2_000; sequence += 1) {
    const payload = payloads[sequence % 2] ?? Buffer.alloc(0);
    send(
      longForm(
        { payloadType: 96, ssrc: 500 },
        sequence,
        [[orientation, Buffer.from([sequence % 4])]],
        payload,
      ),
    );
    if (sequence % 50 === 0) await settled();
  }
  await settled();
  close();
  expect(death).toBeUndefined();
  expect(told).toBeGreaterThan(0);
  // Some per second, however long the test takes.
  expect(told).toBeLessThan(Math.max(200, (performance.now() - beganMs) / 100));
});

/** A report of transport-cc (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1) of 65,528 packets that were lost, and of one that was not. */
function longReport(mediaSsrc: number, number: number): Buffer {
  const packet = Buffer.alloc(40);
  packet.writeUInt16BE(0x8fcd, 0);
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(mediaSsrc, 8);
  packet.writeUInt16BE(number & 0xffff, 12);
  packet.writeUInt16BE(8 * 8_191 + 1, 14);
  packet[19] = number & 0xff;
  for (let run = 0; run < 8; run += 1) packet.writeUInt16BE(8_191, 20 + 2 * run);
  packet.writeUInt16BE(0x2001, 36);
  return packet;
}

test('[WK22] reports about packets that were never sent are not searched', async () => {
  const { answer, asked, settled, close } = await meeting();
  const cpuMs = async (): Promise<number> => (await worker.getResourceUsage()).ru_utime;
  await settled();
  const before = await cpuMs();
  for (let number = 1; number <= 400; number += 1) {
    answer(longReport(asked[1] ?? 0, number));
    if (number % 20 === 0) await settled();
  }
  await settled();
  const taken = (await cpuMs()) - before;
  close();
  // Without the bound they took two seconds and more.
  expect(taken).toBeLessThan(1_000);
});

/** A request for a key frame: PLI (RFC 4585, 6.3.1) or FIR (RFC 5104, 4.3.1). */
function keyFrameRequest(kind: 'pli' | 'fir', ssrc: number, number: number): Buffer {
  const packet = Buffer.alloc(kind === 'pli' ? 12 : 20);
  packet.writeUInt16BE(kind === 'pli' ? 0x81ce : 0x84ce, 0);
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  packet.writeUInt32BE(1, 4);
  if (kind === 'pli') packet.writeUInt32BE(ssrc, 8);
  else {
    packet.writeUInt32BE(ssrc, 12);
    packet[16] = number & 0xff;
  }
  return packet;
}

const isKeyFrameRequest = (packet: Buffer, ssrc: number): boolean =>
  packet[1] === 206 &&
  packet.length >= 12 &&
  (packet.readUInt32BE(8) === ssrc || packet.includes(ssrcBytes(ssrc), 12));

function ssrcBytes(ssrc: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(ssrc);
  return bytes;
}

test('[WK17] a publisher gets key frame requests at intervals, however many viewers request them, in whatever form', async () => {
  const { socket, sending, receiving, send, answer, settled, close } = await meeting();
  const ssrc = 0x5a5a5a5a;
  const producer = await sending.produce({
    kind: 'video',
    keyFrameRequestDelay: KEY_FRAME_REQUEST_DELAY_MS,
    rtpParameters: {
      codecs: [
        {
          mimeType: 'video/VP8',
          payloadType: 96,
          clockRate: 90_000,
          rtcpFeedback: [{ type: 'nack', parameter: 'pli' }],
        },
      ],
      encodings: [{ ssrc }],
    },
  });
  let asked = 0;
  socket.on('message', (packet) => {
    if (isKeyFrameRequest(packet, ssrc)) asked += 1;
  });
  send(vp8Packet(ssrc, 1));
  const consumers: types.Consumer[] = [];
  for (let count = 0; count < 20; count += 1)
    consumers.push(
      await receiving.consume({
        producerId: producer.id,
        rtpCapabilities: structuredClone(ROUTER_RTP_CAPABILITIES),
      }),
    );
  const ssrcs = consumers.flatMap(({ rtpParameters }) =>
    (rtpParameters.encodings ?? []).flatMap((one) => one.ssrc ?? []),
  );
  await settled();
  const [before, beganMs] = [asked, performance.now()];
  for (let round = 0; round < 60; round += 1) {
    send(vp8Packet(ssrc, 2 + round));
    for (const one of ssrcs) {
      answer(keyFrameRequest('pli', one, round));
      answer(keyFrameRequest('fir', one, round));
    }
    const consumer = consumers[round % consumers.length];
    await consumer?.pause();
    await consumer?.resume();
    await consumer?.requestKeyFrame();
    await settled();
  }
  const most = (performance.now() - beganMs) / KEY_FRAME_REQUEST_DELAY_MS + 2;
  close();
  expect(asked).toBeGreaterThan(0);
  expect(asked - before).toBeLessThanOrEqual(most);
});

/** A receiver report (RFC 3550, 6.4.2) that reports every packet of a stream as lost. */
function lostEverything(ssrc: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(0x81c9, 0);
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(ssrc, 8);
  packet[12] = 255;
  return packet;
}

/** Which parts of a stream a compound packet reports as lost, in 256ths. */
function lossesIn(compound: Buffer, ssrc: number): number[] {
  const losses: number[] = [];
  for (let at = 0; at + 8 <= compound.length;) {
    const count = compound[at + 1] === 201 ? (compound[at] ?? 0) & 0x1f : 0;
    for (let block = at + 8; block < at + 8 + 24 * count; block += 24)
      if (compound.readUInt32BE(block) === ssrc) losses.push(compound[block + 4] ?? 0);
    at += 4 * (compound.readUInt16BE(at + 2) + 1);
  }
  return losses;
}

test('[WK14] audio losses that a viewer reports count as a tenth for the speaker', async () => {
  const { socket, sending, receiving, send, answer, close } = await meeting();
  const producer = await sending.produce({
    kind: 'audio',
    rtpParameters: {
      codecs: [
        {
          mimeType: 'audio/opus',
          payloadType: 111,
          clockRate: 48_000,
          channels: 2,
          parameters: { useinbandfec: 1 },
        },
      ],
      encodings: [{ ssrc: 700 }],
    },
  });
  const consumer = await receiving.consume({
    producerId: producer.id,
    rtpCapabilities: structuredClone(ROUTER_RTP_CAPABILITIES),
  });
  const losses: number[] = [];
  socket.on('message', (packet) => {
    const type = packet[1] ?? 0;
    if (type >= 200 && type <= 207) losses.push(...lossesIn(packet, 700));
  });
  let sequence = 0;
  await waitFor('the speaker to be told of a loss', () => {
    sequence += 1;
    send(longForm({ payloadType: 111, ssrc: 700 }, sequence, [], Buffer.alloc(50)));
    answer(lostEverything(consumer.rtpParameters.encodings?.[0]?.ssrc ?? 0));
    return losses.some((lost) => lost > 0);
  });
  close();
  expect(Math.max(...losses)).toBeLessThanOrEqual(25);
});
