import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import {
  CLIENT_REQUESTS,
  PROTOCOL_VERSION,
  REPLY_ENVELOPE,
  ROUTER_RTP_CAPABILITIES,
} from '@plenary/cluster/protocol';
import type { ClientReply } from '@plenary/cluster/protocol';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { lastLines } from './last-lines.ts';

/** Only ends a test that would hang, in milliseconds: longer than any answer takes here. */
const TIMEOUT_MS = 15_000;
/** How long a join is retried on an edge that answers that it is too busy, in milliseconds. */
const RETRY_FOR_MS = 60_000;
const RETRY_MS = 200;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** The result of a join: the reply, or an error of the closed table. */
export type Joined =
  | { readonly ok: true; readonly reply: ClientReply<'join'> }
  | { readonly ok: false; readonly code: string; readonly retryable: boolean };

/** A person from outside, who knows only the site's address, its certificate authority and the protocol. */
export class Visitor {
  readonly #port: number;
  readonly #ca: string;
  readonly #cluster: LocalCluster;
  readonly #sockets = new Set<Socket>();

  /** @param cluster - the cluster behind the site; its API key signs this visitor's tokens */
  constructor(port: number, ca: string, cluster: LocalCluster) {
    this.#port = port;
    this.#ca = ca;
    this.#cluster = cluster;
  }

  /** Requests a path, spelled exactly so, on a connection of its own. */
  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          servername: 'localhost',
          path,
          ca: this.#ca,
          agent: false,
          headers: { host: `localhost:${this.#port}`, ...headers },
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(parts).toString('latin1'),
            }),
          );
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`No answer to ${path} within ${TIMEOUT_MS} ms.`)));
      sent.on('error', reject);
      sent.end();
    });
  }

  /** Opens a WebSocket as the page would. @throws Error if the first attempt fails */
  connect(): Promise<Socket> {
    const origin = `https://localhost:${this.#port}`;
    const socket = io(origin, {
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      ca: this.#ca,
      extraHeaders: { origin },
      timeout: TIMEOUT_MS,
    });
    this.#sockets.add(socket);
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(socket));
      socket.once('connect_error', (error) => reject(error));
    });
  }

  /** Joins a room as a viewer with a join token, by the real protocol. */
  async join(socket: Socket, roomId: string): Promise<Joined> {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const answer: unknown = await socket.timeout(TIMEOUT_MS).emitWithAck('join', {
      protocolVersion: PROTOCOL_VERSION,
      requestId: randomUUID(),
      roomId,
      token: this.#joinToken(roomId),
      displayName: 'Visitor',
      sessionKey: publicKey.export({ format: 'jwk' }),
      media: { rtpCapabilities: ROUTER_RTP_CAPABILITIES, publish: false },
    });
    const envelope = REPLY_ENVELOPE.parse(answer);
    if (!envelope.ok) return { ok: false, code: envelope.error.code, retryable: envelope.error.retryable };
    return { ok: true, reply: CLIENT_REQUESTS.join.reply.parse(envelope.data) };
  }

  /**
   * Joins on a new socket. @returns the socket and the edge that accepted it. While an edge answers that it is too busy, the
   * join is retried, as every client does.
   * @throws Error if a socket fails at the first attempt, or the join is refused permanently
   */
  async joinedEdge(roomId: string): Promise<{ readonly socket: Socket; readonly edgeId: string }> {
    const deadlineMs = performance.now() + RETRY_FOR_MS;
    const refusals: string[] = [];
    for (;;) {
      const socket = await this.connect();
      const joined = await this.join(socket, roomId);
      if (joined.ok) return { socket, edgeId: joined.reply.session.edgeId };
      socket.disconnect();
      refusals.push(joined.code);
      if (!joined.retryable || performance.now() > deadlineMs)
        throw new Error(
          [`The join was refused: ${refusals.join(', ')}`, ...lastLines(this.#cluster)].join('\n'),
        );
      await delay(RETRY_MS);
    }
  }

  /** Closes all sockets that it opened. */
  leave(): void {
    for (const socket of this.#sockets) socket.disconnect();
    this.#sockets.clear();
  }

  /** Makes a token as docs/protocol.md says; it is written out, because visitors share no code with edges. */
  #joinToken(roomId: string): string {
    const { apiKey, apiSecret } = this.#cluster;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const header = { alg: 'HS256', typ: 'JWT', kid: apiKey };
    const claims = {
      sub: `visitor-${randomUUID()}`,
      room: roomId,
      role: 'viewer',
      publish: [],
      iss: apiKey,
      aud: 'plenary-join',
      iat: nowSeconds,
      exp: nowSeconds + 60,
    };
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${createHmac('sha256', apiSecret).update(text).digest('base64url')}`;
  }
}
