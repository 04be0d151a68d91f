/** Key frames for a client that changes its path again and again. */
import { createWorker } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { afterEach, expect, test, vi } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { onLoopback } from '../testing/loopback.ts';
import { vp8Parameters } from '../testing/rtp.ts';
import { testConfig } from '../testing/test-node.ts';
import { ClientTransport } from './client-transport.ts';
import { KeyFrames } from './key-frames.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('[WK23] a client whose path changes with each packet causes two requests for key frames a second', async () => {
  const workerBin = testConfig().workerBin;
  const worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  try {
    const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
    const transport = await router.createWebRtcTransport({ listenInfos: [await onLoopback('udp')] });
    const metrics = createMetrics(false);
    const keyFrames = new KeyFrames(metrics);
    const requested = vi.spyOn(keyFrames, 'requestForTrack');
    const client = new ClientTransport(
      transport,
      metrics,
      keyFrames,
      () => [],
      () => undefined,
    );
    const camera = { kind: 'video', rtpParameters: vp8Parameters(), paused: false } as const;
    await client.produce(camera, () => undefined);
    vi.useFakeTimers();
    const path = { localIp: '127.0.0.1', localAddress: '127.0.0.1', localPort: 1, protocol: 'udp' } as const;
    for (let packet = 0; packet <= 1_000; packet += 1) {
      transport.emit('iceselectedtuplechange', path);
      vi.advanceTimersByTime(10);
    }
    // The first path is no change, and the first change is followed at once.
    expect(requested.mock.calls.length).toBeGreaterThanOrEqual(20);
    expect(requested.mock.calls.length).toBeLessThanOrEqual(21);
    client.close();
  } finally {
    worker.close();
  }
});
