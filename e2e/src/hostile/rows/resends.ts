import {
  Bot,
  closeLinks,
  endMediaLinks,
  isRtcp,
  makeLinks,
  mediaRequest,
  openLinks,
  readRtpSsrc,
} from '@plenary/loadtest/bots';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { Stranger } from '../stranger.ts';

/** A room besides the meeting, on the same worker: some 2 Mbit/s in small packets. */
const ROOM = 'resends';
const CAMERA = { intervalMs: 1, payloadBytes: 200, keepsRate: true } as const;
/** Two seconds of the camera, seventeen packets in each item (RFC 4585, 6.2.1). */
const ITEMS = 115;
const PACKETS_PER_ITEM = 17;
const ASKS_EVERY_MS = 5;
/** Far beyond the few seconds that it takes, in milliseconds. */
const STOPPED_WITHIN_MS = 60_000;

/** Requests all packets before the newest one again. */
function genericNack(ssrc: number, newest: number): Buffer {
  const packet = Buffer.alloc(12 + 4 * ITEMS);
  packet.writeUInt16BE(0x81cd, 0);
  packet.writeUInt16BE(2 + ITEMS, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(ssrc, 8);
  for (let item = 0; item < ITEMS; item += 1) {
    packet.writeUInt16BE((newest - PACKETS_PER_ITEM * (item + 1)) & 0xffff, 12 + 4 * item);
    packet.writeUInt16BE(0xffff, 14 + 4 * item);
  }
  return packet;
}

export const RESENDS: Attack = {
  name: 'endless requests for retransmission',
  world: 'plain',
  description:
    'receives a camera and reports two hundred times a second that the last two seconds of it were lost',
  allowedAnswers: ['media.lost'],
  strike: async (world) => {
    const bot = await Bot.join({
      edgeUrl: world.target.publicUrl,
      roomId: ROOM,
      name: 'Mallory',
      token: world.token({ roomId: ROOM, subject: 'mallory-camera' }),
      canPublish: true,
      subscribes: false,
    });
    await bot.publish('video', CAMERA);
    let newest: { readonly ssrc: number; readonly sequence: number } | undefined;
    const ofCamera = new Set<number>();
    const links = makeLinks(
      { name: 'mallory', canPublish: false },
      {
        received: (packet) => {
          const ssrc = readRtpSsrc(packet);
          if (isRtcp(packet) || ssrc === undefined || !ofCamera.has(ssrc)) return;
          newest = { ssrc, sequence: packet.readUInt16BE(2) };
        },
        feedback: () => undefined,
      },
    );
    const stranger = await Stranger.join(world, { roomId: ROOM, join: { media: mediaRequest(links) } });
    for (const { rtpParameters } of stranger.joined.media.consumers)
      for (const { ssrc } of rtpParameters?.encodings ?? []) if (ssrc !== undefined) ofCamera.add(ssrc);
    openLinks(stranger.joined.media, links);
    await links.receive.connected;
    const asking = setInterval(() => {
      if (newest !== undefined) links.receive.send(genericNack(newest.ssrc, newest.sequence));
    }, ASKS_EVERY_MS);
    const isLost = (): boolean =>
      stranger.client.received.some((frame) => frame.startsWith('42["media.lost"'));
    try {
      await until('the requester’s media session to be closed', isLost, Boolean, STOPPED_WITHIN_MS);
    } finally {
      clearInterval(asking);
    }
    await stranger.leave();
    await bot.leave();
    closeLinks(links);
    await endMediaLinks();
    return ['media.lost'];
  },
};
