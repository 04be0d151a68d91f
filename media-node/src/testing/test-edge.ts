import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import {
  CONTROL_REQUESTS,
  PlenaryError,
  callFrom,
  mintIncarnation,
  signControlToken,
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

/** A caller on a real control link, as an edge is one: asks, and keeps every notice it hears. */
export class TestEdge {
  readonly caller: ControlCaller;
  readonly socket: Socket;
  readonly #notices: { readonly name: string; readonly payload: unknown }[] = [];

  private constructor(caller: ControlCaller, socket: Socket) {
    this.caller = caller;
    this.socket = socket;
    socket.onAny((name: string, payload: unknown) => {
      if (name !== 'beat') this.#notices.push({ name, payload });
    });
  }

  /** Opens a link. @throws PlenaryError what the node refused it with */
  static async connect(options: {
    readonly url: string;
    readonly mediaNodeId: MediaNodeId;
    readonly clusterSecret: string;
    readonly caller?: ControlCaller;
    /** Instead of a good one. */
    readonly token?: string;
  }): Promise<TestEdge> {
    const caller = options.caller ?? { kind: 'edge', id: 'edge-test', incarnation: mintIncarnation() };
    const token =
      options.token ?? (await signControlToken(options.clusterSecret, options.mediaNodeId, caller));
    const socket = io(options.url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      auth: { token },
    });
    const edge = new TestEdge(caller, socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('hello', () => {
        resolve();
      });
      socket.once('connect_error', (error) => {
        reject(new PlenaryError('unauthorised', error.message));
      });
      socket.connect();
    });
    return edge;
  }

  call<Name extends ControlRequestName>(
    name: Name,
    payload: ControlRequestInput<Name>,
  ): Promise<ControlReply<Name>> {
    return callFrom(this.socket, CONTROL_REQUESTS, name, payload, 5_000);
  }

  /** Sends what no schema allows. */
  async raw(name: string, payload: unknown): Promise<unknown> {
    const answer: unknown = await this.socket.timeout(5_000).emitWithAck(name, payload);
    return answer;
  }

  /** The notices of a name that came so far, parsed. */
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
