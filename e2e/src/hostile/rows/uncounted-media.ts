/** Traffic that a publisher or viewer hides from the byte count, or that others send in a publisher's name (SPEC MS31, WK15). */
import { writeRtpHeader } from '@plenary/cluster/testing/rtp-header';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Bot, closeLinks, endMediaLinks, makeLinks, mediaRequest, openLinks } from '@plenary/loadtest/bots';
import type { ClientReply } from '@plenary/cluster/protocol';
import { readMetric } from '../../harness/metrics.ts';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { microphone, OPUS, Stranger } from '../stranger.ts';
import { usageOf } from '../usage.ts';

/** Far beyond the few seconds that it takes, in milliseconds. */
const STOPPED_WITHIN_MS = 60_000;
const EVERY_MS = 10;
const LOOKS = { method: 'transport.getStats' };

type MediaOffer = ClientReply<'join'>['media'];

/** Joins with transports that send hand-made packets. */
async function joinWithMedia(
  world: HostileWorld,
  {
    roomId,
    canPublish,
    byWay: rewriteOffer = (offer) => offer,
  }: {
    readonly roomId?: string;
    readonly canPublish: boolean;
    /** Rewrites the offer, to route the transports through an attacker. */
    readonly byWay?: (offer: MediaOffer) => MediaOffer;
  },
) {
  const nothing = { received: () => undefined, feedback: () => undefined };
  const links = makeLinks({ name: 'mallory', canPublish }, nothing);
  const stranger = await Stranger.join(world, {
    ...(roomId === undefined ? {} : { roomId }),
    join: { media: mediaRequest(links) },
  });
  openLinks(rewriteOffer(stranger.joined.media), links);
  await Promise.all([links.receive.connected, links.send?.connected]);
  return {
    stranger,
    links,
    leave: async (): Promise<void> => {
      await stranger.leave();
      closeLinks(links);
    },
  };
}

/** An audio packet with hardly any payload. */
function shortPacket(ssrc: number, sequence: number): Buffer {
  const header = { payloadType: OPUS.payloadType, ssrc, sequence, timestamp: sequence * 960 };
  return writeRtpHeader(Buffer.alloc(15, 0xff), header);
}

/** The steps of the limit that a publisher was notified of, each once. */
function limitSteps({ client }: Stranger): Answers {
  const told = client.received.flatMap(
    (frame) => /^42\["publishing\.limited".*"step":"(\w+)"/.exec(frame)?.[1] ?? [],
  );
  return [...new Set(told)];
}

/** Sends this many short packets at each interval. @returns a function that stops it */
function speak(
  send: (packet: Buffer) => unknown,
  ssrc: number,
  packetsAtOnce: number,
  everyMs: number,
): () => void {
  let sequence = randomInt(0x1_0000);
  const speaking = setInterval(() => {
    for (let count = 0; count < packetsAtOnce; count += 1) send(shortPacket(ssrc, (sequence += 1)));
  }, everyMs);
  return () => clearInterval(speaking);
}

const SHORT_PACKETS: Attack = {
  name: 'a microphone of two thousand short packets a second',
  world: 'plain',
  description:
    'sends audio in packets of fifteen bytes, as many as fit into its bitrate, each of which goes to everybody',
  allowedAnswers: ['warned', 'paused'],
  strike: async (world) => {
    const { stranger, links, leave } = await joinWithMedia(world, { canPublish: true });
    const ssrc = randomInt(0xffff_ffff);
    await stranger.publish(microphone({ encodings: [{ ssrc }] }));
    const stop = speak((packet) => links.send?.send(packet), ssrc, 20, EVERY_MS);
    try {
      const isPaused = (told: Answers): boolean => told.includes('paused');
      return await until('the voice to be paused', () => limitSteps(stranger), isPaused, STOPPED_WITHIN_MS);
    } finally {
      stop();
      await leave();
      await endMediaLinks();
    }
  },
};

const NACK_ITEMS = 490;
/** These reports amount to some 40 Mbit/s. */
const REPORTS_AT_ONCE = 25;
/** The share of one core that the node may spend. */
const MOST_OF_A_CORE = 0.4;
/** With fewer reports there was no attack. */
const LEAST_REPORTS = 500;

/** Reports the loss of 8,330 packets that never existed. */
function lossesOfNothing(ssrc: number): Buffer {
  const packet = Buffer.alloc(12 + 4 * NACK_ITEMS, 0xff);
  packet.writeUInt16BE(0x81cd, 0);
  packet.writeUInt16BE(2 + NACK_ITEMS, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}

const REPORTS: Attack = {
  name: 'endless reports of losses that did not happen',
  world: 'plain',
  description: 'receives a camera and reports 40 Mbit/s of lost packets that were never sent',
  allowedAnswers: ['ok'],
  strike: async (world, isOver) => {
    const roomId = 'reports';
    const bot = await Bot.join({
      edgeUrl: world.target.publicUrl,
      roomId,
      name: 'Mallory',
      token: world.token({ roomId, subject: 'mallory-reported' }),
      canPublish: true,
      subscribes: false,
    });
    await bot.publish('video');
    const { stranger, links, leave } = await joinWithMedia(world, { roomId, canPublish: false });
    const [camera] = stranger.joined.media.consumers;
    const report = lossesOfNothing(camera?.rtpParameters?.encodings?.[0]?.ssrc ?? 0);
    const [before, sinceMs] = [usageOf(world).cpuSeconds.node, performance.now()];
    let reported = 0;
    const reporting = setInterval(() => {
      for (let count = 0; count < REPORTS_AT_ONCE; count += 1) links.receive.send(report);
      reported += REPORTS_AT_ONCE;
    }, EVERY_MS);
    try {
      const isEnough = (): boolean => isOver() && reported >= LEAST_REPORTS;
      await until('the attack to be over', isEnough, Boolean, STOPPED_WITHIN_MS);
      const share = (1_000 * (usageOf(world).cpuSeconds.node - before)) / (performance.now() - sinceMs);
      return share < MOST_OF_A_CORE ? ['ok'] : [`it took ${share.toFixed(2)} of a core`];
    } finally {
      clearInterval(reporting);
      await leave();
      await bot.leave();
      await endMediaLinks();
    }
  },
};

/** An attacker between a publisher and its media node, who forwards the publisher's packets and sends others in its name. */
class PacketInjector {
  readonly #toClient: Socket = createSocket('udp4');
  readonly #toNode: Socket = createSocket('udp4');
  #clientPort: number | undefined;
  #nodePort = 0;

  static async create(): Promise<PacketInjector> {
    const between = new PacketInjector();
    for (const socket of [between.#toClient, between.#toNode]) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    return between;
  }

  private constructor() {
    this.#toClient.on('message', (packet, { port }) => {
      this.#clientPort = port;
      this.write(packet);
    });
    this.#toNode.on('message', (packet) => {
      if (this.#clientPort !== undefined) this.#toClient.send(packet, this.#clientPort, '127.0.0.1');
    });
  }

  /** The same transport, routed through this attacker. */
  rewriteOffer(offer: MediaOffer): MediaOffer {
    const { sendTransport } = offer;
    if (sendTransport === undefined) return offer;
    const { port } = this.#toClient.address();
    const iceCandidates = sendTransport.iceCandidates
      .filter(({ protocol }) => protocol === 'udp')
      .map((candidate) => {
        this.#nodePort = candidate.port;
        return { ...candidate, port };
      });
    return { ...offer, sendTransport: { ...sendTransport, iceCandidates } };
  }

  /** Sends to the node from the publisher's address and port. */
  write(packet: Buffer): void {
    this.#toNode.send(packet, this.#nodePort, '127.0.0.1');
  }

  close(): void {
    this.#toClient.close();
    this.#toNode.close();
  }
}

/** A packet that looks like RTP without the key. */
function unsealed(ssrc: number): Buffer {
  const packet = randomBytes(1_200);
  packet[0] = 0x80;
  packet[1] = OPUS.payloadType;
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}

/** More measurements than the node needs to pause a publisher of 40 Mbit/s. */
const LOOKS_ENOUGH = 60;

const IN_ANOTHERS_NAME: Attack = {
  name: 'junk in a publisher’s name',
  world: 'plain',
  description:
    'sends 40 Mbit/s to a media node from the address and port of a speaker, who must not be limited for it',
  allowedAnswers: ['the speaker goes on'],
  strike: async (world) => {
    const { operatorUrl } = world.targetNode;
    const between = await PacketInjector.create();
    const { stranger, links, leave } = await joinWithMedia(world, {
      canPublish: true,
      byWay: (offer) => between.rewriteOffer(offer),
    });
    const ssrc = randomInt(0xffff_ffff);
    await stranger.publish(microphone({ encodings: [{ ssrc }] }));
    const stop = speak((packet) => links.send?.send(packet), ssrc, 1, 20);
    const junk = unsealed(ssrc);
    const writing = setInterval(() => {
      for (let count = 0; count < 40; count += 1) between.write(junk);
    }, EVERY_MS);
    try {
      const looks = (): Promise<number> => readMetric(operatorUrl, 'plenary_mediasoup_calls_total', LOOKS);
      const before = await looks();
      await until('the node to measure', looks, (now) => now >= before + LOOKS_ENOUGH, STOPPED_WITHIN_MS);
      const told = limitSteps(stranger);
      return told.length === 0 ? ['the speaker goes on'] : told;
    } finally {
      clearInterval(writing);
      stop();
      await leave();
      between.close();
      await endMediaLinks();
    }
  },
};

export const UNCOUNTED_MEDIA: readonly Attack[] = [SHORT_PACKETS, REPORTS, IN_ANOTHERS_NAME];
