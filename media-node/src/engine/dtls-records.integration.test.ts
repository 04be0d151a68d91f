import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DtlsClient } from '../testing/dtls-client.ts';
import { onLoopback } from '../testing/loopback.ts';
import { KEYING_BYTES, SEALED_BY } from '../testing/srtp-sealer.ts';
import { testConfig } from '../testing/test-node.ts';

/** The minimum that one packet counts as (`bounds.mjs` of the setup). */
const COUNTED_BYTES = 400;

let worker: types.Worker;
let client: DtlsClient;

beforeEach(async () => {
  const workerBin = testConfig().workerBin;
  worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  client = new DtlsClient();
});
afterEach(() => {
  client.close();
  worker.close();
});

test('[MS31] bytes that a client sends in DTLS records count as sent by it', async () => {
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  const transport = await router.createWebRtcTransport({
    listenInfos: [await onLoopback('udp')],
  });
  const counted = async (): Promise<number> => (await transport.getStats())[0]?.bytesReceived ?? 0;
  await client.connect(transport, SEALED_BY, KEYING_BYTES);
  for (let round = 0; round < 3; round += 1) {
    const before = await counted();
    client.write('short\n');
    await waitFor('the record to be counted', async () => (await counted()) > before);
    expect(await counted()).toBe(before + COUNTED_BYTES);
  }
});
