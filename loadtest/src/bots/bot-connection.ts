import { PlenaryError } from '@plenary/cluster/errors';
import { CLIENT_REQUESTS, EDGE_NOTICES, REPLY_ENVELOPE, REQUEST_TIMEOUT_MS } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  EdgeNotice,
  EdgeNoticeName,
} from '@plenary/cluster/protocol';
import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';

const CONNECT_TIMEOUT_MS = 10_000;

export type Notice = {
  [Name in EdgeNoticeName]: { readonly name: Name; readonly payload: EdgeNotice<Name> };
}[EdgeNoticeName];

export interface EdgeConnectionHandlers {
  notice(notice: Notice): void;
  /** The connection ended without `close()`. */
  lost(reason: string): void;
}

/** A bot's connection to an edge. It speaks the real protocol, checks both directions by the schemas, and does not reconnect. */
export class BotConnection {
  readonly #socket: Socket;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Received messages that broke a schema; a bot must never see one. */
  #malformed = 0;

  private constructor(socket: Socket, handlers: EdgeConnectionHandlers) {
    this.#socket = socket;
    socket.onAny((name: string, payload: unknown) => {
      try {
        handlers.notice(parseNotice(name, payload));
      } catch {
        this.#malformed += 1; // Counted and asked for by whoever runs the bots.
      }
    });
    socket.on('disconnect', (reason) => {
      if (reason !== 'io client disconnect') handlers.lost(reason);
    });
  }

  /** @throws PlenaryError `timed_out` if the edge cannot be reached */
  static async open(edgeUrl: string, handlers: EdgeConnectionHandlers): Promise<BotConnection> {
    const socket = io(edgeUrl, {
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      timeout: CONNECT_TIMEOUT_MS,
    });
    const connection = new BotConnection(socket, handlers);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('connect_error', (error: Error) => {
        socket.close();
        reject(new PlenaryError('timed_out', `${edgeUrl}: ${error.message}.`, { cause: error }));
      });
    });
    return connection;
  }

  /** The edge's id for this connection. */
  get connectionId(): string {
    return this.#socket.id ?? '';
  }

  get isOpen(): boolean {
    return this.#socket.connected;
  }

  /** Resolves when all pending requests are answered or have failed, or after `withinMs` milliseconds. */
  async settled(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([Promise.allSettled(this.#underWay), enough]);
    clearTimeout(timer);
  }

  get malformed(): number {
    return this.#malformed;
  }

  /** @throws PlenaryError the edge's error, `timed_out`, or `malformed_message` if either side breaks the schema */
  async request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    const outgoing = CLIENT_REQUESTS[name].payload.parse(payload);
    let answer: unknown;
    const asked: Promise<unknown> = this.#socket.timeout(REQUEST_TIMEOUT_MS).emitWithAck(name, outgoing);
    this.#underWay.add(asked);
    try {
      answer = await asked;
    } catch (cause) {
      throw new PlenaryError('timed_out', `No answer to ${name}.`, { cause });
    } finally {
      this.#underWay.delete(asked);
    }
    const envelope = REPLY_ENVELOPE.safeParse(answer);
    if (!envelope.success) throw new PlenaryError('malformed_message', `The envelope of ${name}.`);
    if (!envelope.data.ok) throw PlenaryError.fromWire(envelope.data.error);
    const reply = CLIENT_REQUESTS[name].reply.safeParse(envelope.data.data);
    if (!reply.success)
      throw new PlenaryError('malformed_message', `The reply to ${name}: ${reply.error.message}`);
    // The table's row for `Name` has exactly this output; TypeScript cannot follow the index through the union.
    return reply.data as ClientReply<Name>;
  }

  close(): void {
    this.#socket.close();
  }
}

function parseNotice(name: string, payload: unknown): Notice {
  const known = name as EdgeNoticeName;
  const definition = Object.hasOwn(EDGE_NOTICES, name) ? EDGE_NOTICES[known] : undefined;
  if (definition === undefined) throw new PlenaryError('unknown_message', name);
  return { name: known, payload: definition.payload.parse(payload) } as Notice;
}
