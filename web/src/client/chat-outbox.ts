import { toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  CHAT_TEXT,
  cleanLines,
  type ChatMessage,
  type PeerId,
  type RequestId,
} from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import { chatMessageId } from './chat-message-id.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';

/** An own chat message that the room does not show yet. */
export interface OutgoingChat {
  readonly requestId: RequestId;
  readonly text: string;
  readonly status: 'sending' | 'sent' | 'failed';
  readonly messageId?: string;
  readonly errorCode?: ErrorCode;
}

/** Errors after which a message is resent automatically. */
const RESENT_AFTER: ReadonlySet<ErrorCode> = new Set(['timed_out', 'store_unavailable']);
/**
 * How long a message is resent automatically after the person sent it, in milliseconds. A message that was meant for one moment of a
 * conversation should not appear much later.
 */
export const RESEND_WITHIN_MS = 60_000;

/**
 * Chat messages that the room log does not contain yet. A repeat has the same request id, so that no message is posted twice. After a
 * rejoin under another peer id, messages that the room already shows are not posted again.
 */
export class ChatOutbox {
  readonly #request: RequestEdge;
  readonly #changed: () => void;
  readonly #self: () => PeerId | undefined;
  #messages: readonly OutgoingChat[] = [];
  /** The ids that each message may have in the room: one for each peer id that this client had when it sent the message. */
  readonly #possibleIds = new Map<RequestId, Set<string>>();
  /** Until when each message is resent automatically. Wall-clock time, because the monotonic clock may stop while a machine sleeps. */
  readonly #resendUntilMs = new Map<RequestId, number>();
  /** Message ids that the room shows. */
  #shown: ReadonlySet<string> = new Set();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;

  /** @param self - returns the current peer id of this client */
  constructor(request: RequestEdge, changed: () => void, self: () => PeerId | undefined) {
    this.#request = request;
    this.#changed = changed;
    this.#self = self;
  }

  get messages(): readonly OutgoingChat[] {
    return this.#messages;
  }

  /** Posts a text; `false` when it is empty, too long or holds control characters. */
  post(text: string): boolean {
    const parsed = CHAT_TEXT.safeParse(cleanLines(text));
    if (!parsed.success) return false;
    const message: OutgoingChat = { requestId: newRequestId(), text: parsed.data, status: 'sending' };
    this.#set([...this.#messages, message]);
    this.#allowResending(message.requestId);
    void this.#send(message);
    return true;
  }

  /** Resends a failed message at the person's request. */
  retry(requestId: RequestId): void {
    this.#allowResending(requestId);
    this.#sendAgain(requestId);
  }

  #allowResending(requestId: RequestId): void {
    this.#resendUntilMs.set(requestId, Date.now() + RESEND_WITHIN_MS);
  }

  #sendAgain(requestId: RequestId): void {
    const message = this.#messages.find((other) => other.requestId === requestId);
    if (message?.status !== 'failed') return;
    this.#replace(requestId, { requestId, text: message.text, status: 'sending' });
    void this.#send(message);
  }

  /** Resends messages that an edge may not have received, or the store could not accept, within their time limit. */
  resendFailed(): void {
    const nowMs = Date.now();
    for (const { requestId, errorCode } of this.#messages) {
      const mayResend = nowMs < (this.#resendUntilMs.get(requestId) ?? 0);
      if (mayResend && errorCode !== undefined && RESENT_AFTER.has(errorCode)) this.#sendAgain(requestId);
    }
  }

  /** Stops automatic resending, because the meeting ended. A later join does not send the messages; the person can. */
  stop(): void {
    this.#resendUntilMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
  }

  /** Drops the messages that the room shows now. */
  dropShown(chat: readonly ChatMessage[]): void {
    this.#shown = new Set(chat.map(({ messageId }) => messageId));
    const isShown = ({ requestId }: OutgoingChat): boolean =>
      [...(this.#possibleIds.get(requestId) ?? [])].some((name) => this.#shown.has(name));
    const left = this.#messages.filter((message) => !isShown(message));
    if (left.length !== this.#messages.length) this.#set(left);
  }

  /** Handles its own errors: they become the message's state. */
  async #send({ requestId, text }: OutgoingChat): Promise<void> {
    this.#notePossibleId(requestId);
    try {
      const { message } = await this.#request('chat.post', { requestId, text });
      this.#addPossibleId(requestId, message.messageId);
      // The room may show the message before the answer brings its id. Then no later event would drop it from the outbox.
      if (this.#shown.has(message.messageId))
        this.#set(this.#messages.filter((other) => other.requestId !== requestId));
      else this.#replace(requestId, { requestId, text, status: 'sent', messageId: message.messageId });
      this.#attempt = 0;
    } catch (thrown) {
      const errorCode = toPlenaryError(thrown).code;
      this.#replace(requestId, { requestId, text, status: 'failed', errorCode });
      if (errorCode === 'store_unavailable') this.#sendLater();
    }
  }

  #notePossibleId(requestId: RequestId): void {
    const self = this.#self();
    if (self !== undefined) this.#addPossibleId(requestId, chatMessageId(self, requestId));
  }

  #addPossibleId(requestId: RequestId, messageId: string): void {
    this.#possibleIds.set(requestId, new Set(this.#possibleIds.get(requestId)).add(messageId));
  }

  /** Retries while the store is down, because the meeting goes on meanwhile. */
  #sendLater(): void {
    if (this.#timer !== undefined) return;
    const delayMs = RETRY_BACKOFF.baseMs + fullJitterMs(this.#attempt, RETRY_BACKOFF, Math.random());
    this.#attempt += 1;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.resendFailed();
    }, delayMs);
  }

  #replace(requestId: RequestId, replacement: OutgoingChat): void {
    this.#set(this.#messages.map((message) => (message.requestId === requestId ? replacement : message)));
  }

  #set(messages: readonly OutgoingChat[]): void {
    this.#messages = messages;
    const known = new Set(messages.map(({ requestId }) => requestId));
    for (const kept of [this.#possibleIds, this.#resendUntilMs])
      for (const requestId of kept.keys()) if (!known.has(requestId)) kept.delete(requestId);
    this.#changed();
  }
}
