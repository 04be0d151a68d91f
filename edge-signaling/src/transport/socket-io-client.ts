import { FrameFault, PlenaryError, after, guardCallback, inBackground } from '@plenary/cluster';
import type { RoomId } from '@plenary/cluster/ids';
import type { EdgeNoticeInput, EdgeNoticeName, ReplyEnvelope } from '@plenary/cluster/protocol';
import type { CountedSocket } from '../limits/address-limits.ts';
import type { FrameGuard, FramePurse } from '../limits/frame-budgets.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { ClientSocket, SocketListener } from './client-socket.ts';
import { socketRoomOf } from './publication.ts';

/** Outside a room a socket may stay this long: a person may take their time on the pre-join page. */
const IDLE_LIMIT_MS = 600_000;

/** What is used of a Socket.IO server socket. */
export interface ServerSocket {
  readonly id: string;
  readonly connected: boolean;
  readonly conn: { close(): void };
  emit(name: string, payload: unknown): boolean;
  join(room: string): Promise<void> | void;
  leave(room: string): Promise<void> | void;
  disconnect(close: boolean): unknown;
  onAny(listener: (name: unknown, ...args: unknown[]) => void): unknown;
  on(event: 'disconnect', listener: (reason: string) => void): unknown;
  on(event: 'error', listener: (fault: unknown) => void): unknown;
}

export interface SocketIoClientSettings {
  readonly address: string;
  readonly count: CountedSocket | undefined;
  readonly frames: Pick<FrameGuard, 'payFrom'> | undefined;
  readonly metrics: EdgeMetrics;
}

/** A client's socket over Socket.IO. */
export class SocketIoClient implements ClientSocket {
  readonly id: string;
  readonly address: string;
  readonly #socket: ServerSocket;
  readonly #settings: SocketIoClientSettings;
  #saidBye = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(socket: ServerSocket, settings: SocketIoClientSettings) {
    this.id = socket.id;
    this.address = settings.address;
    this.#socket = socket;
    this.#settings = settings;
    this.#startIdle();
  }

  /** Passes everything that comes to the listener, from now on. */
  serve(
    listener: SocketListener,
    hooks: { readonly onClosed: () => void; readonly reportFault: ReportFault },
  ): void {
    const { reportFault } = hooks;
    this.#socket.onAny(
      guardCallback('socket', (name, ...args) => {
        // After the last word nothing is heard: what a flood left in the buffers costs nothing more.
        if (this.#saidBye) return;
        const last = args.at(-1);
        if (!isAnswer(last)) {
          listener.onMessage({ name, payloads: args, acknowledge: undefined });
          return;
        }
        const acknowledge = (reply: ReplyEnvelope): void => {
          last(reply);
        };
        listener.onMessage({ name, payloads: args.slice(0, -1), acknowledge });
      }),
    );
    // Socket.IO emits `error` for a frame that its parser refused, and closes the connection afterwards.
    this.#socket.on(
      'error',
      guardCallback('socket', (fault) => {
        if (fault instanceof FrameFault) this.bye(new PlenaryError('malformed_message', fault.message));
        else reportFault('socket', fault, { address: this.address });
      }),
    );
    this.#socket.on(
      'disconnect',
      guardCallback('socket', (reason) => {
        clearTimeout(this.#idleTimer);
        listener.onClosed(reason);
        hooks.onClosed();
        // A client may leave the namespace and keep the connection, where nothing would ever end it.
        this.#socket.conn.close();
      }),
    );
  }

  isOpen(): boolean {
    return this.#socket.connected && !this.#saidBye;
  }

  notify<Name extends EdgeNoticeName>(name: Name, payload: EdgeNoticeInput<Name>): void {
    if (this.isOpen()) this.#socket.emit(name, payload);
  }

  enterRoom(roomId: RoomId): void {
    // The adapter would keep a room of a socket that is gone for ever.
    if (this.#socket.connected) inBackground(() => this.#socket.join(socketRoomOf(roomId)));
  }

  leaveRoom(roomId: RoomId): void {
    if (this.#socket.connected) inBackground(() => this.#socket.leave(socketRoomOf(roomId)));
  }

  bye(error: PlenaryError): void {
    if (!this.isOpen()) return;
    this.#socket.emit('bye', error.toWire());
    this.#saidBye = true;
    this.#settings.metrics.dropped.inc({ code: error.code });
    this.#socket.disconnect(true);
  }

  noteJoined(): void {
    clearTimeout(this.#idleTimer);
    this.#settings.count?.joined();
  }

  noteLeft(): void {
    this.#settings.count?.left();
    this.#startIdle();
  }

  payFramesFrom(purse: FramePurse, person: string): void {
    this.#settings.frames?.payFrom(purse, person);
  }

  #startIdle(): void {
    clearTimeout(this.#idleTimer);
    if (!this.#socket.connected) return;
    const drop = (): void => this.bye(new PlenaryError('timed_out', 'No room was joined.'));
    this.#idleTimer = after(IDLE_LIMIT_MS, drop);
  }
}

/** Socket.IO gives its acknowledgement as the last argument; JSON holds no functions, so that no client can send one. */
function isAnswer(value: unknown): value is (reply: ReplyEnvelope) => void {
  return typeof value === 'function';
}
