/** Pictures that cost their sender nothing and their viewers gigabytes of memory (SPEC MS11). */
import { writeRtpHeader } from '@plenary/cluster/testing/rtp-header';
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeLinks, endMediaLinks, makeLinks, mediaRequest, openLinks } from '@plenary/loadtest/bots';
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { camera, Stranger, VP8 } from '../stranger.ts';

/** The largest size that VP8 can express (RFC 6386, 9.1). */
const LONGEST_SIDE = 16_383;
const FRAME_BYTES = 210;
const FIRST_PARTITION_BYTES = 150;
const EVERY_MS = 33;
/** How many frames are small at first. */
const SMALL_AT_FIRST = 20;

/** A packet with a whole, empty key frame: every macroblock is predicted and has no residue. */
function keyFrame(ssrc: number, sequence: number, side: number): Buffer {
  const packet = writeRtpHeader(Buffer.alloc(16 + FRAME_BYTES), {
    payloadType: VP8.payloadType,
    ssrc,
    sequence,
    timestamp: sequence * 3_000,
    isMarked: true,
  });
  // The payload descriptor (RFC 7741, 4.2) begins a partition and has a picture id of 15 bits.
  packet[12] = 0x90;
  packet[13] = 0x80;
  packet.writeUInt16BE(0x8000 | (sequence & 0x7fff), 14);
  const shown = 1 << 4;
  packet.writeUIntLE(shown | (FIRST_PARTITION_BYTES << 5), 16, 3);
  packet.set([0x9d, 0x01, 0x2a], 19);
  packet.writeUInt16LE(side, 22);
  packet.writeUInt16LE(side, 24);
  return packet;
}

export const HUGE_PICTURES: Attack = {
  name: 'pictures of 268 million pixels',
  world: 'plain',
  description:
    'shows a small picture and then, in two hundred bytes each, thirty pictures a second of the largest size that VP8 can express',
  allowedAnswers: ['ok'],
  strike: async (world, isOver) => {
    const nothing = { received: () => undefined, feedback: () => undefined };
    const links = makeLinks({ name: 'mallory', canPublish: true }, nothing);
    const stranger = await Stranger.join(world, {
      token: world.token({ subject: `mallory-${randomUUID()}`, publish: ['camera'] }),
      join: { media: mediaRequest(links) },
    });
    openLinks(stranger.joined.media, links);
    const { send } = links;
    if (send === undefined) throw new Error('The stranger has no sending transport.');
    await send.connected;
    const ssrc = randomInt(1, 0xffff_ffff);
    const { outcome } = await stranger.publish(camera({ encodings: [{ ssrc }] }));
    let sequence = 0;
    const answers = await repeatUntil(isOver, async () => {
      sequence += 1;
      send.send(keyFrame(ssrc, sequence, sequence < SMALL_AT_FIRST ? 320 : LONGEST_SIDE));
      await sleep(EVERY_MS);
      return outcome;
    });
    await stranger.leave();
    closeLinks(links);
    await endMediaLinks();
    return answers;
  },
};
