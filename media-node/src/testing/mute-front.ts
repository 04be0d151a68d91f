import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server as HttpServer } from 'node:http';
import {
  CONTROL_NOTICES,
  LinkCaller,
  NodeHandshake,
  REPLY_ENVELOPE,
  challengeCaller,
  identityOfSecrets,
  inBackground,
} from '@plenary/cluster';
import type { AnswerRequest, MediaNodeId, ServedLink } from '@plenary/cluster';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io';
import { io } from 'socket.io-client';

/** An answer that is not withheld comes within this time, in milliseconds. */
const ANSWER_WITHIN_MS = 60_000;

export interface MuteFrontOptions {
  /** The address that the node itself listens on. */
  readonly nodeUrl: string;
  readonly mediaNodeId: MediaNodeId;
  readonly clusterSecret: string;
}

/**
 * Stands before a media node's control port and can make the node seem mute: it accepts requests and withholds their
 * answers, while the node's notices, including beats, pass.
 */
export class MuteFront {
  /** The control URL that the node must announce. */
  readonly controlUrl: string;
  /** The requests whose answers are withheld. */
  unanswered: (name: string) => boolean = () => false;
  readonly #options: MuteFrontOptions;
  readonly #server: Server;

  static async before(options: MuteFrontOptions): Promise<MuteFront> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return new MuteFront(http, options);
  }

  private constructor(http: HttpServer, options: MuteFrontOptions) {
    this.#options = options;
    const address = http.address();
    if (address === null || typeof address === 'string') throw new Error('The front has no port.');
    this.controlUrl = `http://127.0.0.1:${address.port}`;
    this.#server = new Server(http, { transports: ['websocket'], serveClient: false });
    const { clusterSecret, mediaNodeId } = options;
    const identity = identityOfSecrets([clusterSecret], { kind: 'media-node', id: mediaNodeId });
    this.#server.on('connection', (socket) => {
      challengeCaller(
        socket,
        new NodeHandshake(identity, socket.handshake.auth),
        (link) => this.#serve(socket, link),
        (refusal) => {
          throw refusal;
        },
      );
    });
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** Opens a link of the same caller to the node itself, and forwards the messages of both sides. */
  #serve(near: Socket, link: ServedLink): void {
    const { nodeUrl, mediaNodeId, clusterSecret } = this.#options;
    const { caller } = link;
    const handOn = (name: string) => (payload: unknown) => link.notify(name, payload);
    const upstream = new LinkCaller({
      identity: identityOfSecrets([clusterSecret], caller),
      caller,
      mediaNodeId,
      routes: Object.fromEntries(Object.keys(CONTROL_NOTICES).map((name) => [name, handOn(name)])),
      onMalformed: (detail) => {
        throw new Error(detail);
      },
      onRefused: (error) => {
        throw error;
      },
    });
    const far = io(nodeUrl, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      auth: upstream.auth,
    });
    upstream.attach(far);
    near.on('disconnect', () => far.disconnect());
    far.on('disconnect', () => near.disconnect(true));
    far.on('connect_error', () => near.disconnect(true));
    link.listen({
      onRequest: (name, payload, answer) => {
        if (!this.unanswered(name)) inBackground(() => this.#ask(upstream, name, payload, answer));
      },
      onFault: (fault) => {
        throw fault;
      },
    });
    far.connect();
  }

  /** A link that breaks meanwhile answers nothing. */
  async #ask(node: LinkCaller, name: string, payload: unknown, answer: AnswerRequest): Promise<void> {
    const reply = node.timeout(ANSWER_WITHIN_MS).emitWithAck(name, payload);
    await reply.then(
      (envelope) => answer(REPLY_ENVELOPE.parse(envelope)),
      () => undefined,
    );
  }
}
