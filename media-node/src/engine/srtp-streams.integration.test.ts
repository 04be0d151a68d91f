/** How many SRTP streams a worker keeps of one client. */
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DtlsClient } from '../testing/dtls-client.ts';
import { onLoopback } from '../testing/loopback.ts';
import { KEYING_BYTES, SEALED_BY, SrtpSealer } from '../testing/srtp-sealer.ts';
import { testConfig } from '../testing/test-node.ts';

const MAX_STREAMS = 1_000;
/** What a report counts at least (MS54). */
const REPORT_BYTES = 100;
const FIRST_SSRC = 0x0102_0304;

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
});
afterEach(() => {
  client.close();
  worker.close();
});

const counted = async (): Promise<number> => (await transport.getStats())[0]?.bytesReceived ?? 0;

/** Sends a sealed packet and waits until the transport counts it. */
async function accepted(sealed: Buffer): Promise<void> {
  const before = await counted();
  client.send(sealed);
  await waitFor('the packet to be counted', async () => (await counted()) > before);
}

/** A receiver report without blocks (RFC 3550, 6.4.2) of an SSRC of its own, which begins a stream. */
function report(index: number): Buffer {
  const packet = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 0]);
  packet.writeUInt32BE(FIRST_SSRC + index, 4);
  return sealer.rtcp(packet);
}

test('[WK12] a worker removes the SRTP state of a client’s oldest stream when a further one exceeds the limit', async () => {
  const reports = Array.from({ length: MAX_STREAMS + 1 }, (_, index) => report(index));
  const [first, second, ...others] = reports;
  if (first === undefined || second === undefined) throw new Error('there are reports');
  const last = others.pop();
  if (last === undefined) throw new Error('there are more than two reports');
  for (const one of [first, second, ...others]) await accepted(one);
  const before = await counted();
  // SRTP refuses a packet that it received before (RFC 3711, 3.3.2) while it has the stream's state.
  client.send(first);
  await accepted(last);
  expect((await counted()) - before).toBe(REPORT_BYTES);
  await accepted(first);
});
