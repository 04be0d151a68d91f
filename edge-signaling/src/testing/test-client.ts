import { randomUUID } from 'node:crypto';
import { callFrom, signJoinToken } from '@plenary/cluster';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import {
  CLIENT_REQUESTS,
  EDGE_NOTICES,
  LOGGED_EVENT,
  PROTOCOL_VERSION,
  REPLY_ENVELOPE,
} from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  EdgeNotice,
  EdgeNoticeName,
  MediaKind,
  ReplyEnvelope,
  HeardEvent,
  RtpParameters,
} from '@plenary/cluster/protocol';
import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import { z } from 'zod';
import { TEST_API_KEY, TEST_API_SECRET } from './edge-process.ts';
import { waitFor } from './wait-for.ts';

export const TEST_RTP_CAPABILITIES = {
  codecs: [
    { kind: 'audio', mimeType: 'audio/opus', preferredPayloadType: 100, clockRate: 48_000, channels: 2 },
  ],
} as const;

/** A join token as an application would make it. */
export async function testToken(room: string, changes: Record<string, unknown> = {}): Promise<string> {
  const grants = {
    sub: `user-${randomUUID()}`,
    room,
    role: 'speaker' as const,
    publish: ['microphone' as const, 'camera' as const],
    ...changes,
  };
  return signJoinToken(TEST_API_KEY, TEST_API_SECRET, grants);
}

/** Beyond any time that an answer takes, in milliseconds: a machine that stands still for a moment fails no test. */
const ANSWER_WITHIN_MS = 60_000;

/** A client that keeps every notice it gets and checks each against its schema. */
export class TestClient {
  readonly socket: Socket;
  /** Of every session that it joins. */
  readonly key: TestSessionKey;
  readonly notices: { readonly name: string; readonly payload: unknown }[] = [];
  readonly malformed: string[] = [];
  #isClosed = false;

  /** @param localAddress - to connect from; default any */
  static async connect(
    url: string,
    headers: Record<string, string> = {},
    localAddress?: string,
  ): Promise<TestClient> {
    const client = new TestClient(await TestSessionKey.create(), url, headers, localAddress);
    const { socket } = client;
    // As a client does it: an edge that is behind refuses who comes, and lets them in later (SPEC HE7).
    let isRefused = false;
    const note = (): void => {
      isRefused = true;
    };
    socket.on('connect_error', note);
    await waitFor(`a socket to ${url}`, () => {
      if (isRefused) socket.connect();
      isRefused = false;
      return socket.connected;
    });
    socket.off('connect_error', note);
    return client;
  }

  private constructor(
    key: TestSessionKey,
    url: string,
    headers: Record<string, string>,
    localAddress: string | undefined,
  ) {
    this.key = key;
    const from = localAddress === undefined ? {} : { localAddress };
    this.socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      extraHeaders: headers,
      ...from,
    });
    this.socket.on('disconnect', () => {
      this.#isClosed = true;
    });
    this.socket.onAny((name: string, payload: unknown) => {
      this.notices.push({ name, payload });
      if (!isNoticeName(name)) this.malformed.push(`unknown notice ${name}`);
      else if (!schemaOf(name).safeParse(payload).success) this.malformed.push(name);
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * As a client does it: where the store did not answer the edge in time, which any machine that stands still for a moment brings about,
   * the request is repeated. For what must not be refused at all, not even so, there is {@link callOnce}.
   */
  async call<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    return waitFor(`the store to answer the edge (${name})`, () => this.callOnce(name, payload));
  }

  async callOnce<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    return callFrom(this.socket, CLIENT_REQUESTS, name, payload, ANSWER_WITHIN_MS);
  }

  /** Sends whatever it is given, and gives the envelope of the answer. */
  async raw(name: string, ...payloads: unknown[]): Promise<ReplyEnvelope> {
    return REPLY_ENVELOPE.parse(await this.socket.timeout(ANSWER_WITHIN_MS).emitWithAck(name, ...payloads));
  }

  /** The code of the error with which a raw message is answered. */
  async refusal(name: string, ...payloads: unknown[]): Promise<string> {
    const reply = await this.raw(name, ...payloads);
    return reply.ok ? 'ok' : reply.error.code;
  }

  /** The same, once the store has answered the edge: as {@link call}, it asks again. */
  async verdict(name: string, ...payloads: unknown[]): Promise<string> {
    return waitFor(`the store to answer the edge (${name})`, async () => {
      const code = await this.refusal(name, ...payloads);
      return code !== 'store_unavailable' && code;
    });
  }

  async join(room: string, changes: Record<string, unknown> = {}): Promise<ClientReply<'join'>> {
    return this.call('join', await joinRequest(room, { sessionKey: this.key.jwk, ...changes }));
  }

  /** What resumes a session on this connection, signed with the key of the client that began it. */
  async resumeRequest(
    begun: TestClient,
    session: { readonly roomId: string; readonly sessionToken: string },
    lastEventId: string,
  ): Promise<ClientRequestInput<'resume'>> {
    const { roomId, sessionToken } = session;
    const proof = await begun.key.prove(this.socket.id ?? '', sessionToken);
    return { protocolVersion: PROTOCOL_VERSION, roomId, sessionToken, proof, lastEventId };
  }

  /** Takes up, on this connection, a session that another client began. */
  async resume(...from: Parameters<TestClient['resumeRequest']>): Promise<ClientReply<'resume'>> {
    return this.call('resume', await this.resumeRequest(...from));
  }

  async publish(media: { sendTransport?: { id: string } | undefined }, requestId: string) {
    return this.call('track.publish', {
      requestId,
      transportId: media.sendTransport?.id ?? '',
      kind: 'audio',
      source: 'microphone',
      rtpParameters: rtpParametersOf('audio'),
      paused: false,
    });
  }

  noticesOf<Name extends EdgeNoticeName>(name: Name): EdgeNotice<Name>[] {
    const schema: z.ZodType<EdgeNotice<Name>> = z.custom<EdgeNotice<Name>>();
    return this.notices
      .filter((notice) => notice.name === name)
      .map((notice) => schema.parse(notice.payload));
  }

  async notice<Name extends EdgeNoticeName>(name: Name): Promise<EdgeNotice<Name>> {
    return waitFor(`the notice ${name}`, () => this.noticesOf(name)[0]);
  }

  /** Waits for an event of the room. */
  async event(fits: (event: HeardEvent['event']) => boolean, what: string): Promise<HeardEvent['event']> {
    return waitFor(`the event ${what}`, () =>
      this.noticesOf('event')
        .map(({ event }) => event)
        .find(fits),
    );
  }

  close(): void {
    this.socket.disconnect();
  }
}

/** What a client might send, as far as an edge looks at it. */
export function rtpParametersOf(kind: MediaKind): RtpParameters {
  return {
    mid: '0',
    codecs: [
      kind === 'audio'
        ? { mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }
        : { mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 },
    ],
    encodings: [{ ssrc: 1 }],
  };
}

export async function joinRequest(
  room: string,
  changes: Record<string, unknown> = {},
): Promise<ClientRequestInput<'join'>> {
  const request = {
    protocolVersion: PROTOCOL_VERSION,
    requestId: randomUUID(),
    roomId: room,
    token: await testToken(room),
    displayName: 'Ann',
    sessionKey: (await TestSessionKey.create()).jwk,
    media: { rtpCapabilities: { codecs: [...TEST_RTP_CAPABILITIES.codecs] }, publish: true },
  };
  return { ...request, ...changes };
}

/** A client takes an event that it does not know for a later one; here there is none. */
function schemaOf(name: EdgeNoticeName): z.ZodType {
  return name === 'event' ? LOGGED_EVENT : EDGE_NOTICES[name].payload;
}

function isNoticeName(name: string): name is EdgeNoticeName {
  return Object.hasOwn(EDGE_NOTICES, name);
}
