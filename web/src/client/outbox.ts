import { toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import { CHAT_TEXT, cleanLines, type ChatMessage, type RequestId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';

/** A chat message of one's own on its way. */
export interface OutgoingChat {
  readonly requestId: RequestId;
  readonly text: string;
  readonly status: 'sending' | 'sent' | 'failed';
  readonly messageId?: string;
  readonly errorCode?: ErrorCode;
}

/** Failures after which a message is sent again without being asked to. */
const SENT_LATER: ReadonlySet<ErrorCode> = new Set(['timed_out', 'store_unavailable']);

/** Chat messages that the room's log does not show yet. A repeat has the same id, so nothing is posted twice. */
export class Outbox {
  readonly #request: RequestEdge;
  readonly #changed: () => void;
  #messages: readonly OutgoingChat[] = [];
  /** What the room shows. */
  #shown: ReadonlySet<string> = new Set();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;

  constructor(request: RequestEdge, changed: () => void) {
    this.#request = request;
    this.#changed = changed;
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
    void this.#send(message);
    return true;
  }

  /** Sends a message that failed once more. */
  retry(requestId: RequestId): void {
    const message = this.#messages.find((other) => other.requestId === requestId);
    if (message?.status !== 'failed') return;
    this.#replace(requestId, { requestId, text: message.text, status: 'sending' });
    void this.#send(message);
  }

  /** Sends again what an edge that went away may not have got, or what could not be kept at that time. */
  resendFailed(): void {
    for (const { requestId, errorCode } of this.#messages)
      if (errorCode !== undefined && SENT_LATER.has(errorCode)) this.retry(requestId);
  }

  /** Sends nothing by itself any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
  }

  /** Drops what the room shows by now. */
  settle(chat: readonly ChatMessage[]): void {
    this.#shown = new Set(chat.map(({ messageId }) => messageId));
    const left = this.#messages.filter(
      ({ messageId }) => messageId === undefined || !this.#shown.has(messageId),
    );
    if (left.length !== this.#messages.length) this.#set(left);
  }

  /** Handles its own errors: they become the message's state. */
  async #send({ requestId, text }: OutgoingChat): Promise<void> {
    try {
      const { message } = await this.#request('chat.post', { requestId, text });
      // The room may show it before the answer comes, which says what it is called there: nothing else would settle it then.
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

  /** The meeting goes on while nothing can be kept, and so does asking. */
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
    this.#changed();
  }
}
