import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { PROTOCOL_VERSION, REQUEST_ID, ROOM_NAME } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { createSessionKey } from '@plenary/web/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeJoinToken } from '../join-token.ts';
import { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
import { EdgeSession } from './edge-session.ts';
import { joinCluster } from './join-cluster.ts';
import { endMediaLinks } from './bot-transport.ts';
import { isRtcp, readRtpSsrc } from './rtp-packet.ts';

const ROOM = 'reports';
/** Each report has 1,900 bytes, and names one packet that existed and 470 that did not. */
const REPORTS = 1_000;
const REPORT_ITEMS = 472;
/** How many of them a worker accepts at once and per second (`bounds.mjs` of the setup), with a margin for those in flight. */
const TAKEN_AT_ONCE = 150;
const TAKEN_A_SECOND = 70;

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ edges: 1, mediaNodes: 1, workers: 1, web: false, logLevel: 'warn' });
});
afterAll(async () => {
  await cluster.stop();
  await endMediaLinks();
});

/** Reports the loss of a packet that existed, and of others that nobody sent. */
function lost(ssrc: number, sequence: number, items: number): Buffer {
  const packet = Buffer.alloc(12 + 4 * items);
  packet.writeUInt16BE(0x81cd, 0);
  packet.writeUInt16BE(2 + items, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(ssrc, 8);
  for (let at = 12; at < packet.length; at += 4) packet.writeUInt16BE((sequence + 30_000) & 0xffff, at);
  packet.writeUInt16BE(sequence, 12);
  return packet;
}

/** A viewer that receives the room's tracks and sends any reports. */
async function joinAsViewer() {
  const [edge] = cluster.edges;
  if (edge === undefined) throw new Error('The cluster has no edge.');
  const received: Buffer[] = [];
  const links = makeLinks(
    { name: 'viewer', canPublish: false },
    { received: (packet) => received.push(packet), feedback: () => undefined },
  );
  const session = await EdgeSession.open(edge.url, {
    notice: () => undefined,
    lost: () => undefined,
    problem: () => undefined,
  });
  const key = await createSessionKey();
  const reply = await session.request('join', {
    protocolVersion: PROTOCOL_VERSION,
    requestId: REQUEST_ID.parse('viewer'),
    roomId: ROOM_NAME.parse(ROOM),
    token: makeJoinToken(cluster, { subject: 'viewer', roomId: ROOM }),
    sessionKey: key.publicKey,
    media: mediaRequest(links),
  });
  openLinks(reply.media, links);
  await links.receive.connected;
  const [encoding] = reply.media.consumers.flatMap(({ rtpParameters }) => rtpParameters?.encodings ?? []);
  return {
    links,
    received,
    ssrc: encoding?.ssrc ?? 0,
    againSsrc: encoding?.rtx?.ssrc ?? 0,
    leave: async (): Promise<void> => {
      await session.request('leave', {});
      session.close();
      closeLinks(links);
    },
  };
}

/** The sequence number of the packet that a retransmission repeats (RFC 4588, 4). */
function originalOf(packet: Buffer): number {
  const hasExtension = ((packet[0] ?? 0) & 0x10) !== 0;
  const extension = hasExtension ? 4 + 4 * packet.readUInt16BE(14) : 0;
  return packet.readUInt16BE(12 + extension);
}

it('[WK15] a worker accepts a bounded number of reports from a viewer at once, and continues with later ones', async () => {
  const options = { roomId: ROOM, name: 'speaker', canPublish: true, subscribes: false };
  const speaker = await joinCluster(cluster, options);
  let isSending = true;
  await speaker.publish('video', {
    intervalMs: 1,
    payloadBytes: 200,
    keepsRate: true,
    isSending: () => isSending,
  });
  const { links, received, ssrc, againSsrc, leave } = await joinAsViewer();
  const sequences = (): number[] =>
    received
      .filter((packet) => !isRtcp(packet) && readRtpSsrc(packet) === ssrc)
      .map((packet) => packet.readUInt16BE(2));
  const sentAgain = (): number[] =>
    received.filter((packet) => readRtpSsrc(packet) === againSsrc).map((packet) => originalOf(packet));
  await waitFor('packets of the camera', () => sequences().length > 2 * REPORTS);
  isSending = false;
  const [first = 0, ...others] = sequences().slice(-REPORTS);
  const beganMs = performance.now();
  for (const [index, sequence] of others.entries()) {
    links.receive.send(lost(ssrc, sequence, REPORT_ITEMS));
    // More reports at once would not fit into the worker's socket.
    if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await waitFor('the packet that is asked for last to be sent again', () => {
    links.receive.send(lost(ssrc, first, 1));
    return sentAgain().includes(first);
  });
  const seconds = (performance.now() - beganMs) / 1_000;
  expect(sentAgain().length).toBeGreaterThan(1);
  expect(sentAgain().length).toBeLessThan(TAKEN_AT_ONCE + TAKEN_A_SECOND * seconds);
  await leave();
  await speaker.leave();
});
