import { after, guardCallback } from '../process/guarded-callbacks.ts';
import { PlenaryError, toPlenaryError } from '../errors.ts';
import type { ControlIdentity } from '../keys/control-credential.ts';
import type { ControlCaller } from '../protocol/edge-media.ts';
import type { MediaNodeId } from '../protocol/ids.ts';
import type { CallSocket } from '../rpc/call.ts';
import type { NoticeRoute } from '../rpc/route.ts';
import { CallerHandshake } from './handshake.ts';
import { LINK_EVENTS, readAnswer, requestText } from './link-messages.ts';
import type { SealedAnswer } from './link-messages.ts';
import type { SealedStream } from './sealed-stream.ts';

/** The part of a Socket.IO client that a control link uses. */
export interface CallerSocket {
  readonly connected: boolean;
  on(event: string, listener: (payload: unknown) => void): unknown;
  emit(event: string, payload: unknown): unknown;
  disconnect(): unknown;
}

export interface LinkCallerOptions {
  readonly identity: ControlIdentity;
  readonly caller: ControlCaller;
  readonly mediaNodeId: MediaNodeId;
  /** The handler of each notice; notices without a handler are ignored. */
  readonly routes: Readonly<Record<string, NoticeRoute>>;
  /** Called for a message of the node that does not fit the protocol; the message is ignored. */
  readonly onMalformed: (detail: string) => void;
  /** Called if the other side is not the intended node, or somebody changed a message: the connection ends. */
  readonly onRefused: (error: PlenaryError) => void;
}

interface Waiting {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * The caller's end of a control link. Each connection begins with a handshake, and everything after it is encrypted.
 * Until the other side has proved to be the intended node, the caller tells it nothing and believes nothing (SPEC
 * CL1, CL10).
 */
export class LinkCaller implements CallSocket {
  readonly #options: LinkCallerOptions;
  readonly #waiting = new Map<number, Waiting>();
  #socket: CallerSocket | undefined;
  #handshake: CallerHandshake | undefined;
  #stream: SealedStream | undefined;
  #lastId = 0;

  constructor(options: LinkCallerOptions) {
    this.#options = options;
  }

  /** Socket.IO's `auth` option: the first message of each connection. */
  readonly auth = (authorise: (opening: object) => void): void => {
    const { identity, caller, mediaNodeId } = this.#options;
    this.#end();
    this.#handshake = new CallerHandshake(identity, caller, mediaNodeId);
    authorise(this.#handshake.opening);
  };

  /** Uses this client from now on. */
  attach(socket: CallerSocket): void {
    this.#socket = socket;
    socket.on(
      LINK_EVENTS.challenge,
      guardCallback('control_link', (challenge) => this.#guard(() => this.#answer(challenge))),
    );
    socket.on(
      LINK_EVENTS.sealed,
      guardCallback('control_link', (sealed) => this.#guard(() => this.#receive(sealed))),
    );
    socket.on(
      'disconnect',
      guardCallback('control_link', () => this.#end()),
    );
  }

  /** Whether requests can be sent: the other side has proved its identity. */
  get connected(): boolean {
    return this.#stream !== undefined && this.#socket?.connected === true;
  }

  timeout(timeoutMs: number): ReturnType<CallSocket['timeout']> {
    return { emitWithAck: (name, payload) => this.#ask(name, payload, timeoutMs) };
  }

  #answer(challenge: unknown): void {
    const handshake = this.#handshake;
    if (handshake === undefined)
      throw new PlenaryError('unauthorised', 'The other side sent two challenges.');
    this.#handshake = undefined;
    const { proof, stream } = handshake.answer(challenge);
    this.#stream = stream;
    this.#socket?.emit(LINK_EVENTS.proof, proof);
  }

  #receive(sealed: unknown): void {
    const stream = this.#stream;
    if (stream === undefined || typeof sealed !== 'string') {
      throw new PlenaryError('unauthorised', 'The other side sent a message before its proof.');
    }
    // Once decrypted, the message is the node's own. A malformed one is ignored, and nothing else is affected.
    const text = stream.open(sealed);
    let message: SealedAnswer;
    try {
      message = readAnswer(text);
    } catch (thrown) {
      this.#options.onMalformed(thrown instanceof Error ? thrown.message : String(thrown));
      return;
    }
    if (message.kind === 'notice') {
      const { name, payload } = message;
      if (Object.hasOwn(this.#options.routes, name)) this.#options.routes[name]?.(payload);
      return;
    }
    // If no request waits, the answer is late.
    this.#take(message.id)?.resolve(message.envelope);
  }

  #ask(name: string, payload: unknown, timeoutMs: number): Promise<unknown> {
    this.#lastId += 1;
    return this.sendFrame(this.#lastId, requestText(this.#lastId, name, payload), timeoutMs);
  }

  /** Sends an encoded request, and waits for the reply to its number. */
  sendFrame(id: number, text: string, timeoutMs: number): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = after(timeoutMs, () => this.#take(id)?.reject(new Error('No answer came in time.')));
    this.#waiting.set(id, { resolve, reject, timer });
    if (this.#stream === undefined) this.#take(id)?.reject(new Error('The link is down.'));
    else this.#socket?.emit(LINK_EVENTS.sealed, this.#stream.seal(text));
    return promise;
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #end(): void {
    this.#stream = undefined;
    this.#handshake = undefined;
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(new Error('The link broke.'));
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#end();
      this.#options.onRefused(toPlenaryError(thrown));
      this.#socket?.disconnect();
    }
  }
}
