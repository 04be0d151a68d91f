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

/** The part of a Socket.IO client that a control link runs over. */
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
  /** What is done with each notice; others are nobody's. */
  readonly routes: Readonly<Record<string, NoticeRoute>>;
  /** A message of the node does not fit the protocol; it is left out. */
  readonly onMalformed: (detail: string) => void;
  /** The other side is not who was meant, or somebody meddles: the connection ends. */
  readonly onRefused: (error: PlenaryError) => void;
}

interface Waiting {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * The caller's end of a control link: each connection begins with a handshake, and everything after it is sealed. Until
 * the other side has proved to be the node that was meant, it learns nothing and is believed nothing (SPEC CL1, CL10).
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

  /** For Socket.IO's `auth`: what each connection begins with. */
  readonly auth = (authorise: (opening: object) => void): void => {
    const { identity, caller, mediaNodeId } = this.#options;
    this.#end();
    this.#handshake = new CallerHandshake(identity, caller, mediaNodeId);
    authorise(this.#handshake.opening);
  };

  /** Runs over this client from now on. */
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

  /** Whether requests can be sent: the other side has proved itself. */
  get connected(): boolean {
    return this.#stream !== undefined && this.#socket?.connected === true;
  }

  timeout(timeoutMs: number): ReturnType<CallSocket['timeout']> {
    return { emitWithAck: (name, payload) => this.#ask(name, payload, timeoutMs) };
  }

  #answer(challenge: unknown): void {
    const handshake = this.#handshake;
    if (handshake === undefined) throw new PlenaryError('unauthorised', 'It challenges twice.');
    this.#handshake = undefined;
    const { proof, stream } = handshake.answer(challenge);
    this.#stream = stream;
    this.#socket?.emit(LINK_EVENTS.proof, proof);
  }

  #receive(sealed: unknown): void {
    const stream = this.#stream;
    if (stream === undefined || typeof sealed !== 'string') {
      throw new PlenaryError('unauthorised', 'It speaks before it has proved itself.');
    }
    // Opened, it is the node's own; one that is malformed costs itself and nothing else.
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
    // Where there is nobody, it came too late.
    this.#take(message.id)?.resolve(message.envelope);
  }

  #ask(name: string, payload: unknown, timeoutMs: number): Promise<unknown> {
    this.#lastId += 1;
    return this.sendFrame(this.#lastId, requestText(this.#lastId, name, payload), timeoutMs);
  }

  /** Sends a request that is written already, and waits for the reply to its number. */
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
