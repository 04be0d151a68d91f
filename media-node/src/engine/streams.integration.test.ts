import { createSocket } from 'node:dgram';
import { createWorker } from 'mediasoup';
import { faultOfPublication, MEDIA_CODECS, RTP_PARAMETERS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { expect, test } from 'vitest';
import { onLoopback } from '../testing/loopback.ts';
import { testConfig } from '../testing/test-node.ts';
import { vp8Packet } from '../testing/rtp.ts';

const SDES = 'urn:ietf:params:rtp-hdrext:sdes:';
const MID = { uri: `${SDES}mid`, id: 1 };
const RID = { uri: `${SDES}rtp-stream-id`, id: 2 };
const CODEC = { mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 };

/** A packet with the values of header extensions, in the short form of RFC 8285. */
function packetWith(ssrc: number, sequence: number, values: ReadonlyMap<number, string>): Buffer {
  const plain = vp8Packet(ssrc, sequence);
  if (values.size === 0) return plain;
  const elements = [...values].map(([id, value]) =>
    Buffer.concat([Buffer.from([(id << 4) | (value.length - 1)]), Buffer.from(value)]),
  );
  const used = Buffer.concat(elements);
  const words = Math.ceil(used.length / 4);
  const extension = Buffer.alloc(4 + 4 * words);
  extension.writeUInt16BE(0xbede, 0);
  extension.writeUInt16BE(words, 2);
  used.copy(extension, 4);
  const packet = Buffer.concat([plain.subarray(0, 12), extension, plain.subarray(12)]);
  packet[0] = 0x90;
  return packet;
}

/**
 * Publications, and how many of their streams a worker receives from a sender that repeats the negotiated ids in each
 * packet.
 */
const CASES = [
  { mid: 'm', headerExtensions: [MID, RID], encodings: [{ rid: 'r0' }, { rid: 'r1' }], streams: 2 },
  { mid: 'm', headerExtensions: [MID], encodings: [{ rid: 'r0' }, { rid: 'r1' }], streams: 0 },
  { mid: 'm', headerExtensions: [], encodings: [{ rid: 'r0' }, { rid: 'r1' }], streams: 0 },
  { headerExtensions: [RID], encodings: [{ rid: 'r0' }, { rid: 'r1' }], streams: 2 },
  { mid: 'm', headerExtensions: [MID], encodings: [{}], streams: 1 },
  { mid: 'm', headerExtensions: [], encodings: [{}], streams: 0 },
  { mid: 'm', headerExtensions: [], encodings: [{ ssrc: 11 }, { ssrc: 12 }], streams: 2 },
] as const;

test('[MS23] accepted parameters play in a worker, and ambiguous ones are refused', async () => {
  const workerBin = testConfig().workerBin;
  const worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  try {
    const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
    for (const { streams, ...published } of CASES) {
      const transport = await router.createPlainTransport({
        listenInfo: await onLoopback('udp'),
        comedia: true,
      });
      const rtpParameters = RTP_PARAMETERS.parse({ codecs: [CODEC], ...published });
      const what = JSON.stringify(published);
      const producer = await transport.produce({
        kind: 'video',
        rtpParameters: structuredClone(rtpParameters),
      });
      // The last packet on this socket: once it has arrived, all others have too.
      const last = await transport.produce({
        kind: 'video',
        rtpParameters: { codecs: [CODEC], encodings: [{ ssrc: 99 }] },
      });
      let sequence = 0;
      const send = (ssrc: number, values: ReadonlyMap<number, string>): void => {
        socket.send(packetWith(ssrc, (sequence += 1), values), transport.tuple.localPort, '127.0.0.1');
      };
      const carried = new Set<number>(published.headerExtensions.map(({ id }) => id));
      await waitFor('the last stream', async () => {
        for (const [index, encoding] of (rtpParameters.encodings ?? []).entries()) {
          const said = new Map<number, string>();
          if (carried.has(MID.id)) said.set(MID.id, rtpParameters.mid ?? '');
          if (carried.has(RID.id) && encoding.rid !== undefined) said.set(RID.id, encoding.rid);
          send(encoding.ssrc ?? 21 + index, said);
        }
        send(99, new Map());
        return (await last.getStats()).length > 0;
      });
      expect((await producer.getStats()).length, what).toBe(streams);
      const fault = faultOfPublication({ kind: 'video', source: 'camera', rtpParameters });
      expect(fault === undefined, `${what}: ${String(fault)}`).toBe(streams > 0);
      transport.close();
    }
  } finally {
    socket.close();
    worker.close();
  }
});
