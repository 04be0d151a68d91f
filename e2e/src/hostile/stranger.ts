import { randomUUID } from 'node:crypto';
import { CLIENT_REQUESTS, PROTOCOL_VERSION, ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { ClientReply, ClientRequestName } from '@plenary/cluster/protocol';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import type { HostileWorld } from './hostile-world.ts';
import { MEETING_ROOM } from './hostile-world.ts';
import type { RawClient, RawClientOptions } from './raw-client.ts';

export interface StrangerOptions extends RawClientOptions {
  readonly roomId?: string;
  readonly token?: string;
  /** Replaces fields of the join. */
  readonly join?: Readonly<Record<string, unknown>>;
}

/** A valid join of a stranger, with changes. */
export async function joinPayload(
  world: HostileWorld,
  { roomId = MEETING_ROOM, token, join }: StrangerOptions = {},
  key?: TestSessionKey,
): Promise<Record<string, unknown>> {
  return {
    protocolVersion: PROTOCOL_VERSION,
    requestId: randomUUID(),
    roomId,
    token: token ?? world.token({ roomId, subject: `mallory-${randomUUID()}` }),
    sessionKey: (key ?? (await TestSessionKey.create())).jwk,
    media: { rtpCapabilities: ROUTER_RTP_CAPABILITIES, publish: true },
    ...join,
  };
}

/** An edge refused a join, with this error code. */
export class JoinRefused extends Error {
  override readonly name = 'JoinRefused';
  readonly code: string;

  constructor(code: string) {
    super(`the stranger was not let in: ${code}`);
    this.code = code;
  }
}

/** An attacker with a valid token: a session over raw frames. */
export class Stranger {
  readonly client: RawClient;
  readonly joined: ClientReply<'join'>;
  readonly key: TestSessionKey;

  private constructor(client: RawClient, joined: ClientReply<'join'>, key: TestSessionKey) {
    this.client = client;
    this.joined = joined;
    this.key = key;
  }

  /** @throws JoinRefused, HandshakeRefused */
  static async join(world: HostileWorld, options: StrangerOptions = {}): Promise<Stranger> {
    const client = await world.enter({ localAddress: world.nextAddress(), ...options });
    const key = await TestSessionKey.create();
    const { outcome, data } = await client.request('join', await joinPayload(world, options, key));
    if (outcome !== 'ok') {
      await client.close();
      throw new JoinRefused(outcome);
    }
    return new Stranger(client, CLIENT_REQUESTS.join.reply.parse(data), key);
  }

  readonly capabilities = ROUTER_RTP_CAPABILITIES;

  get epoch(): number {
    return this.joined.media.epoch;
  }

  async ask(name: ClientRequestName, payload: unknown): Promise<string> {
    return this.client.ask(name, payload);
  }

  /** Publishes, a microphone by default. @returns the outcome and the track */
  async publish(
    changes: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly outcome: string; readonly trackId: string }> {
    const { outcome, data } = await this.client.request('track.publish', {
      requestId: randomUUID(),
      transportId: this.joined.media.sendTransport?.id,
      ...microphone(),
      ...changes,
    });
    const trackId = outcome === 'ok' ? CLIENT_REQUESTS['track.publish'].reply.parse(data).trackId : '';
    return { outcome, trackId };
  }

  /** Resumes this session on another connection. @returns the answer, with the next session token */
  async resumeOn(
    client: RawClient,
    sessionToken: string,
  ): Promise<{ readonly outcome: string; readonly sessionToken: string }> {
    const { outcome, data } = await client.request('resume', {
      protocolVersion: PROTOCOL_VERSION,
      roomId: this.joined.session.roomId,
      sessionToken,
      proof: await this.key.prove(client.id, sessionToken),
      lastEventId: this.joined.room.lastEventId,
    });
    if (outcome !== 'ok') return { outcome, sessionToken };
    return { outcome, sessionToken: CLIENT_REQUESTS.resume.reply.parse(data).session.sessionToken };
  }

  async leave(): Promise<void> {
    await this.client.ask('leave', {});
    await this.client.close();
  }
}

let lastSsrc = 1_000;

function nextSsrc(): number {
  lastSsrc += 1;
  return lastSsrc;
}

/** A valid publication of a microphone; `rtp` replaces RTP parameters. */
export function microphone(rtp: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    kind: 'audio',
    source: 'microphone',
    paused: false,
    rtpParameters: { codecs: [OPUS], encodings: [{ ssrc: nextSsrc() }], rtcp: { reducedSize: true }, ...rtp },
  };
}

/** A valid publication of a camera; `rtp` replaces RTP parameters. */
export function camera(rtp: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    kind: 'video',
    source: 'camera',
    paused: false,
    rtpParameters: { codecs: [VP8], encodings: [{ ssrc: nextSsrc() }], rtcp: { reducedSize: true }, ...rtp },
  };
}

export const OPUS = { mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 } as const;
export const VP8 = { mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 } as const;
