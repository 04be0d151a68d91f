/** How a worker counts the packets that a client sealed, and which it drops. */
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DtlsClient } from '../testing/dtls-client.ts';
import { onLoopback } from '../testing/loopback.ts';
import { vp8Packet } from '../testing/rtp.ts';
import { KEYING_BYTES, SEALED_BY, SrtpSealer } from '../testing/srtp-sealer.ts';
import { testConfig } from '../testing/test-node.ts';

const SSRC = 500;
const LEAST_BYTES = 400;
/** What sealing adds to a packet. */
const SEAL_BYTES = 16;
const LONGEST_BYTES = 2_000;

let worker: types.Worker;
let transport: types.WebRtcTransport;
let client: DtlsClient;
let sealer: SrtpSealer;
beforeEach(async () => {
  const workerBin = testConfig().workerBin;
  worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  transport = await router.createWebRtcTransport({ listenInfos: [await onLoopback('udp')] });
  client = new DtlsClient();
  await client.connect(transport, SEALED_BY, KEYING_BYTES);
  sealer = new SrtpSealer(await client.keyingMaterial());
  await transport.produce({
    kind: 'video',
    rtpParameters: {
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }],
      encodings: [{ ssrc: SSRC }],
    },
  });
});
afterEach(() => {
  client.close();
  worker.close();
});

const counted = async (): Promise<number> => (await transport.getStats())[0]?.bytesReceived ?? 0;

/** Sends a sealed packet. @returns how many bytes the transport counted for it */
async function countOf(sealed: Buffer): Promise<number> {
  const before = await counted();
  client.send(sealed);
  await waitFor('the packet to be counted', async () => (await counted()) > before);
  return (await counted()) - before;
}

test('[MS53] a packet of media counts as 400 bytes at least', async () => {
  expect(await countOf(sealer.rtp(vp8Packet(SSRC, 1).subarray(0, 40)))).toBe(LEAST_BYTES);
  expect(await countOf(sealer.rtp(vp8Packet(SSRC, 2)))).toBe(500);
});

test('[MS54] a packet of reports counts as 100 bytes at least', async () => {
  // A receiver report without blocks (RFC 3550, 6.4.2).
  expect(await countOf(sealer.rtcp(Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 1])))).toBe(100);
});

test('[WK24] a packet of more than 2,000 bytes is dropped', async () => {
  const ofLength = (bytes: number, sequence: number): Buffer =>
    sealer.rtp(Buffer.concat([vp8Packet(SSRC, sequence), Buffer.alloc(bytes - SEAL_BYTES - 500)]));
  const before = await counted();
  client.send(ofLength(LONGEST_BYTES + 1, 1));
  client.send(ofLength(LONGEST_BYTES, 2));
  await waitFor('the longest packet to be counted', async () => (await counted()) > before);
  expect((await counted()) - before).toBe(LONGEST_BYTES - SEAL_BYTES);
});
