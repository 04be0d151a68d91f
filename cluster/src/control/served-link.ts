import { after, guardCallback } from '../process/guarded-callbacks.ts';
import { PlenaryError, toPlenaryError } from '../errors.ts';
import type { ReplyEnvelope } from '../protocol/define.ts';
import type { ControlCaller } from '../protocol/edge-media.ts';
import { FrameFault } from '../rpc/frame.ts';
import type { NodeHandshake } from './handshake.ts';
import { LINK_EVENTS, noticeText, readRequest, replyText } from './link-messages.ts';
import type { SealedStream } from './sealed-stream.ts';

/** How long a caller may take for its proof, in milliseconds. */
export const PROOF_WITHIN_MS = 5_000;

/** The part of a Socket.IO server's socket that a control link uses. */
export interface ServedSocket {
  on(event: string, listener: (payload: unknown) => void): unknown;
  once(event: string, listener: (payload: unknown) => void): unknown;
  emit(event: string, payload: unknown): unknown;
  disconnect(close: boolean): unknown;
}

/** Answers one request; a later call does nothing. */
export type AnswerRequest = (envelope: ReplyEnvelope) => void;

export interface ServedLinkListener {
  onRequest(name: string, payload: unknown, answer: AnswerRequest): void;
  /** Called for a message outside the protocol, which is ignored, or for a changed one, which ends the link. */
  onFault(error: PlenaryError): void;
}

/** The media node's end of a control link, whose caller has proved its identity. */
export class ServedLink {
  readonly caller: ControlCaller;
  readonly #socket: ServedSocket;
  readonly #stream: SealedStream;
  #isOpen = true;

  constructor(socket: ServedSocket, caller: ControlCaller, stream: SealedStream) {
    this.#socket = socket;
    this.caller = caller;
    this.#stream = stream;
    socket.on(
      'disconnect',
      guardCallback('control_link', () => {
        this.#isOpen = false;
      }),
    );
  }

  /** Receives requests from now on; call it in the same turn in which the link was given. */
  listen(listener: ServedLinkListener): void {
    this.#socket.on(
      LINK_EVENTS.sealed,
      guardCallback('control_link', (sealed) => this.#receive(sealed, listener)),
    );
  }

  notify(name: string, payload: unknown): void {
    this.#send(noticeText(name, payload));
  }

  close(): void {
    this.#socket.disconnect(true);
  }

  #receive(sealed: unknown, listener: ServedLinkListener): void {
    let text: string;
    try {
      if (typeof sealed !== 'string') throw new PlenaryError('unauthorised', 'A message is not sealed.');
      text = this.#stream.open(sealed);
    } catch (thrown) {
      listener.onFault(toPlenaryError(thrown));
      this.close();
      return;
    }
    try {
      const { id, name, payload } = readRequest(text);
      listener.onRequest(name, payload, (envelope) => this.#send(replyText(id, envelope)));
    } catch (thrown) {
      const isFrame = thrown instanceof FrameFault;
      listener.onFault(
        isFrame ? new PlenaryError('malformed_message', thrown.message) : toPlenaryError(thrown),
      );
    }
  }

  /** Encrypts only messages that are sent: the other side would miss any other. */
  #send(text: string): void {
    if (this.#isOpen) this.#socket.emit(LINK_EVENTS.sealed, this.#stream.seal(text));
  }
}

/**
 * Challenges a caller and waits for its proof. One callback is called, once, unless the caller disconnects before.
 * @param onLink - must listen on the link at once
 * @param onRefused - `malformed_message`, `unauthorised`, `timed_out`; the connection is closed
 */
export function challengeCaller(
  socket: ServedSocket,
  handshake: NodeHandshake,
  onLink: (link: ServedLink) => void,
  onRefused: (error: PlenaryError) => void,
): void {
  let isDone = false;
  const done = (): boolean => {
    clearTimeout(timer);
    const isFirst = !isDone;
    isDone = true;
    return isFirst;
  };
  const refuse = (error: PlenaryError): void => {
    if (!done()) return;
    onRefused(error);
    socket.disconnect(true);
  };
  const timer = after(PROOF_WITHIN_MS, () =>
    refuse(new PlenaryError('timed_out', 'The caller gave no proof in time.')),
  );
  socket.on('disconnect', guardCallback('control_link', done));
  socket.once(
    LINK_EVENTS.proof,
    guardCallback('control_link', (proof) => {
      let stream: SealedStream;
      try {
        stream = handshake.accept(proof);
      } catch (thrown) {
        refuse(toPlenaryError(thrown));
        return;
      }
      if (done()) onLink(new ServedLink(socket, handshake.caller, stream));
    }),
  );
  socket.emit(LINK_EVENTS.challenge, handshake.challenge);
}
