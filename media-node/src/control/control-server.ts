import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io';
import {
  boundSends,
  challengeCaller,
  CONTROL_BEAT_MS,
  CONTROL_VERSION,
  CONTROL_MESSAGE_LIMIT,
  MAX_CONTROL_PACKET_BYTES,
  MEDIA_NODE_ID,
  NodeHandshake,
  refusalToCaller,
  RareLines,
  createFrameParser,
  toPlenaryError,
  guardCallback,
  every,
  inBackground,
} from '@plenary/cluster';
import type {
  AnswerRequest,
  Clock,
  ControlIdentity,
  DatacenterId,
  Incarnation,
  Logger,
  MediaNodeId,
  PlenaryError,
  PortGate,
  ReplyEnvelope,
  ServedLink,
} from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import type { Rooms } from '../room/rooms.ts';
import { AcceptedControlLink } from './accepted-control-link.ts';
import { createDispatch } from './dispatch.ts';
import type { Dispatch } from './dispatch.ts';
import { NodeBudgets } from './node-budgets.ts';
import type { OpenLinks } from './open-links.ts';

/**
 * Maximum backlog of a caller that does not read, in bytes: far more than an edge gets while all of its clients join
 * at once.
 */
export const MAX_LINK_BACKLOG_BYTES = 16_777_216;

export interface ControlServerOptions {
  readonly http: HttpServer;
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly incarnation: Incarnation;
  /** The node's own credentials, and the callers that it accepts. */
  readonly identity: ControlIdentity;
  /** Watches connections until their callers have authenticated. */
  readonly guard: Pick<PortGate, 'proven'>;
  readonly rooms: Rooms;
  /** The open links, which the server keeps current. */
  readonly links: OpenLinks;
  /** The id of this machine; `undefined` when it cannot be read. */
  readonly machineId: string | undefined;
  /** Addresses for other media nodes, instead of those announced to clients. */
  readonly pipeAddresses: readonly string[];
  /** Number of ports for pipes. */
  readonly pipePorts: number;
  /** Called when another media node has opened a link to this one. */
  readonly onMediaNode: (mediaNodeId: MediaNodeId) => void;
  /** Called when an edge has opened a link. */
  readonly onEdge: () => void;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Serves the control protocol to edges and other media nodes, on the process' HTTP server (SPEC CL). */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #lines: RareLines;
  readonly #budgets: NodeBudgets;
  readonly #server: Server;
  readonly #dispatch: Dispatch;
  /** The handshake of each caller, between its first message and its connection. */
  readonly #handshakes = new WeakMap<Socket, NodeHandshake>();
  readonly #beat: NodeJS.Timeout;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#lines = new RareLines(options.clock);
    const { rooms, metrics, logger } = options;
    this.#budgets = new NodeBudgets(options);
    this.#dispatch = createDispatch(rooms, this.#budgets, {
      onFault: (fault) => {
        this.#lines.say('failed', (unsaid) => {
          logger.error(
            { err: fault, unsaid },
            'control request failed unexpectedly; the caller got an error',
          );
        });
      },
    });
    this.#server = new Server(options.http, {
      transports: ['websocket'],
      serveClient: false,
      maxHttpBufferSize: MAX_CONTROL_PACKET_BYTES,
      parser: createFrameParser({
        reads: 'requests',
        ...CONTROL_MESSAGE_LIMIT,
        onRefused: (reason) => metrics.refusedFrames.inc({ reason }),
      }),
      // The caller notices a cut cable by missing beats; this side notices it by pings.
      pingInterval: 2_000,
      pingTimeout: 6_000,
      connectTimeout: 5_000,
    });
    this.#server.use((socket, next) => {
      try {
        this.#handshakes.set(socket, new NodeHandshake(options.identity, socket.handshake.auth));
        next();
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        this.#refused(socket, error);
        next(refusalToCaller(error));
      }
    });
    this.#server.on(
      'connection',
      guardCallback('control_link', (socket) => {
        const handshake = this.#handshakes.get(socket);
        if (handshake === undefined) {
          socket.disconnect(true);
          return;
        }
        boundSends(socket.conn, MAX_LINK_BACKLOG_BYTES, () => this.#cutOff(handshake.caller));
        challengeCaller(
          socket,
          handshake,
          (served) => {
            this.#opened(socket, served);
          },
          (error) => {
            this.#refused(socket, error);
          },
        );
      }),
    );
    this.#beat = every(CONTROL_BEAT_MS, () => {
      for (const [socket, link] of this.#options.links) {
        link.notify('beat', { incarnation: options.incarnation });
        // The WebSocket's own answers to pings are counted nowhere else.
        const connection = socket.conn.request.socket;
        if (connection.writableLength <= MAX_LINK_BACKLOG_BYTES || connection.destroyed) continue;
        this.#cutOff(link.caller);
        connection.destroy();
      }
    });
  }

  /** Closes every link and accepts no more. Closes the HTTP server too. */
  async close(): Promise<void> {
    clearInterval(this.#beat);
    // A link that is closed before its connection ends shows the edge that this stop is orderly (SPEC LC22).
    for (const [, link] of [...this.#options.links]) if (link.caller.kind === 'edge') link.close();
    await this.#server.close();
    this.#budgets.close();
    this.#lines.close();
  }

  /** Cuts a link whose caller reads nothing although it still sends signs of life (SPEC CL16). */
  #cutOff({ kind, id }: AcceptedControlLink['caller']): void {
    const { metrics, logger } = this.#options;
    metrics.limited.inc({ scope: 'link', resource: 'bytes' });
    this.#lines.say(
      'unread',
      (unsaid) => {
        logger.warn(
          { caller: kind, callerId: id, maxBytes: MAX_LINK_BACKLOG_BYTES, unsaid },
          'control link cut: its caller does not read',
        );
      },
      id,
    );
  }

  #refused(socket: Socket, error: PlenaryError): void {
    const { metrics, logger } = this.#options;
    metrics.refusedLinks.inc({ code: error.code });
    const { address } = socket.handshake;
    // Anybody who reaches the port can cause this line as often as they like.
    this.#lines.say(error.code, (unsaid) => {
      logger.warn({ code: error.code, address, why: error.message, unsaid }, 'control link refused');
    });
  }

  #opened(socket: Socket, served: ServedLink): void {
    const { caller } = served;
    const { metrics, logger, mediaNodeId, incarnation, machineId, pipeAddresses, datacenter, rooms } =
      this.#options;
    const link = new AcceptedControlLink(served, this.#budgets);
    this.#options.guard.proven(socket.request);
    this.#options.links.set(socket, link);
    metrics.controlLinks.inc({ caller: caller.kind });
    logger.info({ caller: caller.kind, callerId: caller.id }, 'control link open');
    socket.on(
      'disconnect',
      guardCallback('control_link', (reason) => {
        this.#options.links.delete(socket);
        metrics.controlLinks.dec({ caller: caller.kind });
        logger.info({ caller: caller.kind, callerId: caller.id, reason }, 'control link closed');
        rooms.linkClosed(link, link.asker);
      }),
    );
    served.listen({
      onRequest: (name, payload, answer) => {
        this.#answer(link, name, payload, answer);
      },
      onFault: (error) => {
        metrics.errors.inc({ where: 'control', code: error.code });
        this.#lines.say(`unread ${error.code}`, (unsaid) => {
          logger.warn(
            { err: error, callerId: caller.id, unsaid },
            'control message refused: it is malformed',
          );
        });
      },
    });
    link.notify('hello', {
      controlVersion: CONTROL_VERSION,
      mediaNodeId,
      incarnation,
      datacenter,
      wallMs: this.#options.clock.wallMs(),
      ...(machineId === undefined ? {} : { machineId }),
      ...(pipeAddresses.length === 0 ? {} : { pipeAddresses: [...pipeAddresses] }),
    });
    rooms.linkOpened(link);
    if (caller.kind === 'media-node') this.#options.onMediaNode(MEDIA_NODE_ID.parse(caller.id));
    else this.#options.onEdge();
  }

  #answer(link: AcceptedControlLink, name: string, payload: unknown, acknowledge: AnswerRequest): void {
    const { metrics, logger } = this.#options;
    const refuse = (error: PlenaryError): ReplyEnvelope => ({ ok: false, error: error.toWire() });
    inBackground(() =>
      this.#dispatch(name, payload, link).then(
        (envelope) => {
          if (!envelope.ok) metrics.errors.inc({ where: 'control', code: envelope.error.code });
          acknowledge(envelope);
        },
        (fault: unknown) => {
          metrics.errors.inc({ where: 'control', code: 'internal' });
          this.#lines.say('undispatched', (unsaid) => {
            logger.error(
              { err: fault, name, unsaid },
              'control request not dispatched; the caller got an error',
            );
          });
          acknowledge(refuse(toPlenaryError(fault)));
        },
      ),
    );
  }
}
