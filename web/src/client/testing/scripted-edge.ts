/**
 * An edge in memory, behind the same port as the real one. A test scripts its answers. The client under test is the real
 * one, down to mediasoup-client with its own fake browser.
 */
import { PlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  CLIENT_REQUESTS,
  type ClientReply,
  type ClientRequest,
  type ClientRequestName,
  type ConsumerOffer,
  type EdgeHint,
  type EdgeNoticeInput,
  type EdgeNoticeName,
  type MediaOffer,
  type RoomSnapshot,
} from '@plenary/cluster/protocol';
import { Device, testFakeParameters } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import type { ProbePort } from '../probe-port.ts';
import type { SignallingConnection, SignallingHandlers, SignallingPort } from '../signalling-port.ts';
import { consumerOffer, mediaOffer, sessionOf, snapshotOf } from './fixtures.ts';

type Handlers = {
  [Name in ClientRequestName]?: (payload: ClientRequest<Name>, socket: ScriptedSocket) => unknown;
};

export interface ReceivedRequest {
  readonly name: string;
  readonly payload: unknown;
  readonly url: string;
}

/** The edge's side of one connection. */
export class ScriptedSocket implements SignallingConnection {
  readonly url: string;
  readonly #edge: ScriptedEdge;
  readonly #handlers: SignallingHandlers;
  closed = false;

  constructor(url: string, edge: ScriptedEdge, handlers: SignallingHandlers) {
    this.url = url;
    this.#edge = edge;
    this.#handlers = handlers;
  }

  send(name: string, payload: unknown, acknowledged: (envelope: unknown) => void): void {
    this.#edge.receive(this, name, payload, acknowledged);
  }

  close(): void {
    this.closed = true;
  }

  /** Sends a notice. The payload is not typed, because a test may send a malformed one. */
  notify(name: string, payload: unknown): void {
    if (!this.closed) this.#handlers.notice(name, payload);
  }

  /** Breaks the connection, as a killed edge does. */
  drop(reason = 'transport close'): void {
    if (this.closed) return;
    this.closed = true;
    this.#handlers.closed(reason);
  }
}

/** The scripted port. Records every request. */
export class ScriptedEdge implements SignallingPort, ProbePort {
  readonly received: ReceivedRequest[] = [];
  readonly sockets: ScriptedSocket[] = [];
  /** Addresses that refuse connections. */
  readonly dead = new Set<string>();
  /** Answers of this test, which replace the default ones. A handler that throws a PlenaryError refuses the request. */
  on: Handlers = {};
  room: RoomSnapshot = snapshotOf();
  consumers: ConsumerOffer[] = [];
  edges: string[] = [];
  /** The other edges that this edge lists before a join. */
  hints: EdgeHint[] = [];
  /** Round trip of each edge, in milliseconds. An edge without an entry does not answer. */
  readonly roundTripMs = new Map<string, number>();
  readonly probed: string[] = [];
  #tracks = 0;
  #consumers = 0;
  #messages = 0;

  open(url: string, handlers: SignallingHandlers): SignallingConnection {
    const socket = new ScriptedSocket(url, this, handlers);
    this.sockets.push(socket);
    setTimeout(() => {
      if (socket.closed) return;
      if (this.dead.has(url)) socket.drop('connect_error');
      else handlers.opened(`connection-${this.sockets.length}`);
    }, 0);
    return socket;
  }

  knownEdges(): Promise<readonly EdgeHint[]> {
    return Promise.resolve(this.hints);
  }

  ping(url: string): Promise<number> {
    this.probed.push(url);
    const roundTripMs = this.roundTripMs.get(url);
    return roundTripMs === undefined ? Promise.reject(new Error('no answer')) : Promise.resolve(roundTripMs);
  }

  get socket(): ScriptedSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no connection was opened');
    return socket;
  }

  /** The payloads of all requests of one name, in order. */
  requests<Name extends ClientRequestName>(name: Name): ClientRequest<Name>[] {
    return this.received
      .filter((message) => message.name === name)
      .map(({ payload }) => CLIENT_REQUESTS[name].payload.parse(payload) as ClientRequest<Name>);
  }

  /** Sends a well-formed notice on the newest connection. */
  notify<Name extends EdgeNoticeName>(name: Name, payload: EdgeNoticeInput<Name>): void {
    this.socket.notify(name, payload);
  }

  receive(
    socket: ScriptedSocket,
    name: string,
    payload: unknown,
    acknowledged: (envelope: unknown) => void,
  ): void {
    this.received.push({ name, payload, url: socket.url });
    const known = name as ClientRequestName;
    setTimeout(() => {
      void this.#answer(socket, known, payload).then((envelope) => {
        if (!socket.closed && envelope !== undefined) acknowledged(envelope);
      });
    }, 0);
  }

  media(): MediaOffer {
    return mediaOffer(this.consumers);
  }

  async #answer(socket: ScriptedSocket, name: ClientRequestName, payload: unknown): Promise<unknown> {
    try {
      // The row of `name` takes exactly this payload; TypeScript cannot follow the index through the union.
      const scripted = this.on[name] as ((payload: unknown, socket: ScriptedSocket) => unknown) | undefined;
      const data = scripted === undefined ? this.#usual(name, payload) : await scripted(payload, socket);
      // `NO_ANSWER` simulates an edge that hangs.
      return data === NO_ANSWER ? undefined : { ok: true, data };
    } catch (thrown) {
      if (thrown instanceof PlenaryError) return { ok: false, error: thrown.toWire() };
      throw thrown;
    }
  }

  #usual(name: ClientRequestName, payload: unknown): unknown {
    switch (name) {
      case 'join':
        return {
          session: sessionOf(this.edges),
          room: this.room,
          media: this.media(),
        } satisfies ClientReply<'join'>;
      case 'resume':
        return {
          session: sessionOf(this.edges),
          catchUp: { type: 'events', events: [] },
          mediaAlive: true,
        } satisfies ClientReply<'resume'>;
      case 'media.open':
        return this.media();
      case 'track.publish':
        this.#tracks += 1;
        return { trackId: `own-${this.#tracks}` };
      case 'subscribe': {
        const { trackIds } = CLIENT_REQUESTS.subscribe.payload.parse(payload);
        return {
          consumers: trackIds.map((trackId) => {
            const track = this.room.tracks.find((other) => other.trackId === trackId);
            this.#consumers += 1;
            return consumerOffer(`consumer-${this.#consumers}`, {
              trackId,
              peerId: track?.peerId ?? 'peer-b',
              source: track?.source ?? 'camera',
              paused: track?.kind !== 'audio',
            });
          }),
          failed: [],
        };
      }
      case 'chat.post': {
        const { text } = CLIENT_REQUESTS['chat.post'].payload.parse(payload);
        this.#messages += 1;
        return {
          message: {
            messageId: `message-${this.#messages}`,
            peerId: 'self',
            displayName: 'Ada',
            text,
            sentAtMs: 1_000,
          },
        };
      }
      case 'roster.page':
        return { peers: [] };
      case 'sync':
        return { type: 'snapshot', room: this.room };
      case 'transport.restartIce':
        return { iceParameters: this.media().receiveTransport.iceParameters };
      default:
        return {};
    }
  }
}

/** A handler returns this to leave the request unanswered. */
export const NO_ANSWER = Symbol('no answer');

export function refuse(code: ErrorCode): never {
  throw new PlenaryError(code);
}

/** mediasoup-client's own fake of browser WebRTC. */
export function fakeDevice(): Promise<Device> {
  return Device.factory({ handlerFactory: FakeHandler.createFactory(testFakeParameters) });
}
