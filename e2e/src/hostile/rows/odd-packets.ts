import { WITH_EXTENSION, writeRtpHeader } from '@plenary/cluster/testing/rtp-header';
import { randomUUID } from 'node:crypto';
import { closeLinks, endMediaLinks, makeLinks, mediaRequest, openLinks } from '@plenary/loadtest/bots';
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { camera, Stranger, VP8 } from '../stranger.ts';

const SSRC = 77_777;
/** All header extensions that a camera without retransmissions may have. */
const EXTENSIONS = (ROUTER_RTP_CAPABILITIES.headerExtensions ?? [])
  .filter(({ kind, uri }) => kind === 'video' && !uri.endsWith('repaired-rtp-stream-id'))
  .map(({ uri, preferredId }) => ({ uri, id: preferredId }));

/** All header extensions in the long form of RFC 8285, each without a value. */
function packetOfEmptyExtensions(sequence: number): Buffer {
  const words = Math.ceil((2 * EXTENSIONS.length) / 4);
  const packet = writeRtpHeader(Buffer.alloc(12 + 4 + 4 * words + 100), {
    payloadType: VP8.payloadType,
    ssrc: SSRC,
    sequence,
    timestamp: sequence * 900,
    first: WITH_EXTENSION,
  });
  packet.writeUInt16BE(0x1000, 12);
  packet.writeUInt16BE(words, 14);
  for (const [index, { id }] of EXTENSIONS.entries()) packet[16 + 2 * index] = id;
  return packet;
}

export const ODD_PACKETS: Attack = {
  name: 'packets whose header extensions are empty',
  world: 'plain',
  description:
    'publishes a camera with all header extensions and sends packets in which each of them is empty',
  allowedAnswers: ['ok'],
  strike: async (world, isOver) => {
    const links = makeLinks(
      { name: 'mallory', canPublish: true },
      { received: () => undefined, feedback: () => undefined },
    );
    const stranger = await Stranger.join(world, {
      token: world.token({ subject: `mallory-${randomUUID()}`, publish: ['camera'] }),
      join: { media: mediaRequest(links) },
    });
    openLinks(stranger.joined.media, links);
    const { send } = links;
    if (send === undefined) throw new Error('The stranger has no sending transport.');
    await send.connected;
    const { outcome } = await stranger.publish(
      camera({ headerExtensions: EXTENSIONS, encodings: [{ ssrc: SSRC }] }),
    );
    let sequence = 0;
    const answers = await repeatUntil(isOver, async () => {
      send.send(packetOfEmptyExtensions((sequence += 1)));
      await new Promise((resolve) => setTimeout(resolve, 20));
      return outcome;
    });
    await stranger.leave();
    closeLinks(links);
    await endMediaLinks();
    return answers;
  },
};
