import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io';
import { z } from 'zod';
import {
  CONTROL_BEAT_MS,
  CONTROL_VERSION,
  MAX_CONTROL_PACKET_BYTES,
  MEDIA_NODE_ID,
  PlenaryError,
  createFrameParser,
  toPlenaryError,
  verifyControlToken,
} from '@plenary/cluster';
import type {
  ControlCaller,
  DatacenterId,
  Incarnation,
  Logger,
  MediaNodeId,
  ReplyEnvelope,
} from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import type { Rooms } from '../room/rooms.ts';
import { ControlLink } from './control-link.ts';
import { createDispatch } from './dispatch.ts';
import type { Dispatch } from './dispatch.ts';

const HANDSHAKE = z.object({ token: z.string().min(1).max(4_096) });

export interface ControlServerOptions {
  readonly http: HttpServer;
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly incarnation: Incarnation;
  readonly clusterSecret: string;
  readonly rooms: Rooms;
  /** Another media node has opened a link to this one. */
  readonly onMediaNode: (mediaNodeId: MediaNodeId) => void;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/** Serves the control protocol to edges and other media nodes, on the process' HTTP server (SPEC CL). */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #dispatch: Dispatch;
  readonly #links = new Map<Socket, ControlLink>();
  /** Who proved to be who, between the handshake and the connection. */
  readonly #callers = new WeakMap<Socket, ControlCaller>();
  readonly #beat: NodeJS.Timeout;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    const { rooms, metrics, logger } = options;
    this.#dispatch = createDispatch(rooms, {
      onFault: (fault) => {
        logger.error({ err: fault }, 'a control request failed unexpectedly');
      },
    });
    this.#server = new Server(options.http, {
      transports: ['websocket'],
      serveClient: false,
      maxHttpBufferSize: MAX_CONTROL_PACKET_BYTES,
      parser: createFrameParser({
        reads: 'requests',
        maxLength: MAX_CONTROL_PACKET_BYTES,
        onRefused: (reason) => metrics.refusedFrames.inc({ reason }),
      }),
      // A cut cable is noticed by the beats on the other side, and here by pings.
      pingInterval: 2_000,
      pingTimeout: 6_000,
      connectTimeout: 5_000,
    });
    this.#server.use((socket, next) => {
      this.#authenticate(socket).then(
        () => {
          next();
        },
        (thrown: unknown) => {
          const error = toPlenaryError(thrown);
          metrics.refusedLinks.inc({ code: error.code });
          logger.warn({ code: error.code, address: socket.handshake.address }, 'control link refused');
          next(Object.assign(new Error(error.code), { data: error.toWire() }));
        },
      );
    });
    this.#server.on('connection', (socket) => {
      this.#opened(socket);
    });
    this.#beat = setInterval(() => {
      for (const link of this.#links.values()) link.notify('beat', { incarnation: options.incarnation });
    }, CONTROL_BEAT_MS);
  }

  /** An edge whose link is open, if there is one; the one that connected first. */
  anyEdge(): ControlLink | undefined {
    for (const link of this.#links.values()) {
      if (link.caller.kind === 'edge') return link;
    }
    return undefined;
  }

  /** Closes every link and takes no more. The HTTP server is closed with it. */
  async close(): Promise<void> {
    clearInterval(this.#beat);
    await this.#server.close();
  }

  /** @throws PlenaryError `unauthorised`, `token_invalid`, `token_expired` */
  async #authenticate(socket: Socket): Promise<void> {
    const { clusterSecret, mediaNodeId } = this.#options;
    const handshake = HANDSHAKE.safeParse(socket.handshake.auth);
    if (!handshake.success) throw new PlenaryError('unauthorised');
    const caller = await verifyControlToken(clusterSecret, mediaNodeId, handshake.data.token);
    this.#callers.set(socket, caller);
  }

  #opened(socket: Socket): void {
    const caller = this.#callers.get(socket);
    if (caller === undefined) {
      socket.disconnect(true);
      return;
    }
    const { metrics, logger, mediaNodeId, incarnation, datacenter, rooms } = this.#options;
    const link = new ControlLink(socket, caller);
    this.#links.set(socket, link);
    metrics.controlLinks.inc({ caller: caller.kind });
    logger.info({ caller: caller.kind, callerId: caller.id }, 'control link opened');
    socket.on('disconnect', (reason) => {
      this.#links.delete(socket);
      metrics.controlLinks.dec({ caller: caller.kind });
      logger.info({ caller: caller.kind, callerId: caller.id, reason }, 'control link closed');
      rooms.linkClosed(link, link.asker);
    });
    socket.onAny((name: string, ...parameters: unknown[]) => {
      this.#answer(link, name, parameters);
    });
    link.notify('hello', { controlVersion: CONTROL_VERSION, mediaNodeId, incarnation, datacenter });
    rooms.linkOpened(link);
    if (caller.kind === 'media-node') this.#options.onMediaNode(MEDIA_NODE_ID.parse(caller.id));
  }

  #answer(link: ControlLink, name: string, parameters: unknown[]): void {
    const { metrics, logger } = this.#options;
    const acknowledge = parameters.at(-1);
    const refuse = (error: PlenaryError): ReplyEnvelope => ({ ok: false, error: error.toWire() });
    if (!isAcknowledge(acknowledge)) {
      // There is nobody to answer, but it must not pass unseen.
      metrics.errors.inc({ where: 'control', code: 'malformed_message' });
      logger.warn({ callerId: link.caller.id, name }, 'a control message asked for no answer');
      return;
    }
    const answer =
      parameters.length === 2
        ? this.#dispatch(name, parameters[0], link)
        : Promise.resolve(refuse(new PlenaryError('malformed_message', 'One payload is expected.')));
    answer.then(
      (envelope) => {
        if (!envelope.ok) metrics.errors.inc({ where: 'control', code: envelope.error.code });
        acknowledge(envelope);
      },
      (fault: unknown) => {
        metrics.errors.inc({ where: 'control', code: 'internal' });
        logger.error({ err: fault, name }, 'the dispatch failed');
        acknowledge(refuse(toPlenaryError(fault)));
      },
    );
  }
}

function isAcknowledge(value: unknown): value is (envelope: ReplyEnvelope) => void {
  return typeof value === 'function';
}
