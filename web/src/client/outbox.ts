import { toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import { CHAT_TEXT, type ChatMessage, type RequestId } from '@plenary/cluster/protocol';
import { newRequestId, type RequestEdge } from './request-edge.ts';

/** A chat message of one's own on its way. */
export interface OutgoingChat {
  readonly requestId: RequestId;
  readonly text: string;
  readonly status: 'sending' | 'sent' | 'failed';
  readonly messageId?: string;
  readonly errorCode?: ErrorCode;
}

/** Chat messages that the room's log does not show yet. A repeat has the same id, so nothing is posted twice. */
export class Outbox {
  readonly #request: RequestEdge;
  readonly #changed: () => void;
  #messages: readonly OutgoingChat[] = [];
  /** What the room shows. */
  #shown: ReadonlySet<string> = new Set();

  constructor(request: RequestEdge, changed: () => void) {
    this.#request = request;
    this.#changed = changed;
  }

  get messages(): readonly OutgoingChat[] {
    return this.#messages;
  }

  /** Posts a text; `false` when it is empty, too long or holds control characters. */
  post(text: string): boolean {
    const parsed = CHAT_TEXT.safeParse(text);
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

  /** Sends again what an edge that went away may not have got. */
  resendFailed(): void {
    for (const { requestId, errorCode } of this.#messages)
      if (errorCode === 'timed_out') this.retry(requestId);
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
    } catch (thrown) {
      this.#replace(requestId, { requestId, text, status: 'failed', errorCode: toPlenaryError(thrown).code });
    }
  }

  #replace(requestId: RequestId, replacement: OutgoingChat): void {
    this.#set(this.#messages.map((message) => (message.requestId === requestId ? replacement : message)));
  }

  #set(messages: readonly OutgoingChat[]): void {
    this.#messages = messages;
    this.#changed();
  }
}
