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

/** Longer than any answer takes here; it only ends a test that would hang. */
const TIMEOUT_MS = 15_000;
/** For so long an edge is asked again that says that it is too busy. */
const INSIST_FOR_MS = 60_000;
const ASK_AGAIN_MS = 200;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** How a joining ends: in the room, or with an error of the closed table. */
export type Joined =
  | { readonly ok: true; readonly reply: ClientReply<'join'> }
  | { readonly ok: false; readonly code: string; readonly retryable: boolean };

/** Who comes to the site from outside, knowing nothing but its address, its certificate authority and the protocol. */
export class Visitor {
  readonly #port: number;
  readonly #ca: string;
  readonly #cluster: LocalCluster;
  readonly #sockets = new Set<Socket>();

  /** @param cluster - behind the site, whose API key signs the tokens of this visitor */
  constructor(port: number, ca: string, cluster: LocalCluster) {
    this.#port = port;
    this.#ca = ca;
    this.#cluster = cluster;
  }

  /** Asks for a path, spelled exactly so, on a connection of its own. */
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

  /** Opens a WebSocket as the page would. @throws Error when it is not opened at the first attempt */
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

  /** Enters a room as a viewer with a join token, by the real protocol. */
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
   * Joins on a new socket and says which edge it was that let it in. An edge that is too busy, and says so, is asked again, as every
   * client does.
   * @throws Error when a socket is not opened at the first attempt, or the join is refused for good
   */
  async joinedEdge(roomId: string): Promise<{ readonly socket: Socket; readonly edgeId: string }> {
    const deadlineMs = performance.now() + INSIST_FOR_MS;
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
      await delay(ASK_AGAIN_MS);
    }
  }

  /** Closes every socket that it opened. */
  leave(): void {
    for (const socket of this.#sockets) socket.disconnect();
    this.#sockets.clear();
  }

  /** As an application with an API key makes it (docs/protocol.md); written out, since visitors share no code with edges. */
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
