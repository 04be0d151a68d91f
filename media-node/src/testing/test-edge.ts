import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import {
  CONTROL_REQUESTS,
  LinkCaller,
  PlenaryError,
  callFrom,
  identityOfSecrets,
  ignoreWallClock,
  mintIncarnation,
} from '@plenary/cluster';
import type {
  ControlCaller,
  ControlNotice,
  ControlNoticeName,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  MediaNodeId,
} from '@plenary/cluster';
import { CONTROL_NOTICES } from '@plenary/cluster';
import { waitFor } from '@plenary/cluster/testing/wait-for';

/** Longer than any answer takes, in milliseconds, so that a stall of the machine fails no test. */
const ANSWER_WITHIN_MS = 60_000;

/** A caller on a real control link, as an edge is: sends requests, and keeps every notice. */
export class TestEdge {
  readonly caller: ControlCaller;
  readonly socket: Socket;
  readonly #link: LinkCaller;
  /** Why the link was refused or closed. */
  refusal: PlenaryError | undefined;
  readonly #notices: { readonly name: string; readonly payload: unknown }[] = [];

  private constructor(url: string, mediaNodeId: MediaNodeId, clusterSecret: string, caller: ControlCaller) {
    this.caller = caller;
    const keep = (name: string) => (payload: unknown) => {
      this.#notices.push({ name, payload });
    };
    this.#link = new LinkCaller({
      identity: identityOfSecrets([clusterSecret], caller),
      caller,
      mediaNodeId,
      routes: Object.fromEntries(Object.keys(CONTROL_NOTICES).map((name) => [name, keep(name)])),
      onMalformed: (detail) => {
        this.refusal = new PlenaryError('malformed_message', detail);
      },
      onRefused: (error) => {
        this.refusal = error;
      },
    });
    this.socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      auth: this.#link.auth,
    });
    // As an edge's own links do, so that a test can have the wall clock jump.
    ignoreWallClock(this.socket);
    this.#link.attach(this.socket);
  }

  /** Opens a link. @throws PlenaryError the node's refusal */
  static async connect(options: {
    readonly url: string;
    readonly mediaNodeId: MediaNodeId;
    readonly clusterSecret: string;
    readonly caller?: ControlCaller;
    /** The authority whose certificates are accepted. */
    readonly ca?: string;
  }): Promise<TestEdge> {
    const caller = options.caller ?? { kind: 'edge', id: 'edge-test', incarnation: mintIncarnation() };
    const edge = new TestEdge(options.url, options.mediaNodeId, options.clusterSecret, caller);
    if (options.ca !== undefined) edge.socket.io.opts.ca = options.ca;
    edge.socket.once('connect_error', (error) => {
      edge.refusal = new PlenaryError('unauthorised', error.message);
    });
    edge.socket.once('disconnect', () => {
      edge.refusal ??= new PlenaryError('unauthorised', 'The connection was closed.');
    });
    edge.socket.connect();
    await waitFor('hello', () => edge.refusal !== undefined || edge.notices('hello').length > 0);
    if (edge.refusal !== undefined) throw edge.refusal;
    return edge;
  }

  call<Name extends ControlRequestName>(
    name: Name,
    payload: ControlRequestInput<Name>,
  ): Promise<ControlReply<Name>> {
    return callFrom(this.#link, CONTROL_REQUESTS, name, payload, ANSWER_WITHIN_MS);
  }

  /** Sends a payload that no schema allows. */
  async raw(name: string, payload: unknown): Promise<unknown> {
    const answer: unknown = await this.#link.timeout(ANSWER_WITHIN_MS).emitWithAck(name, payload);
    return answer;
  }

  /** Sends a sealed frame unchanged, which none of our clients would write. */
  async rawFrame(id: number, frame: string): Promise<unknown> {
    return this.#link.sendFrame(id, frame, 5_000);
  }

  /** The parsed notices of a name that arrived so far. */
  notices<Name extends ControlNoticeName>(name: Name): readonly ControlNotice<Name>[] {
    const schema: (typeof CONTROL_NOTICES)[Name]['payload'] = CONTROL_NOTICES[name].payload;
    return this.#notices
      .filter((notice) => notice.name === name)
      .map((notice) => schema.parse(notice.payload) as ControlNotice<Name>);
  }

  close(): void {
    this.socket.disconnect();
  }
}
