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
/**
 * For so long after a person sent a message it is sent again without being asked to, in milliseconds: what was meant for one moment of
 * a conversation is not for a much later one.
 */
export const SENT_LATER_WITHIN_MS = 60_000;

/**
 * Chat messages that the room's log does not show yet. A repeat has the same id, so that nothing is posted twice; and of who joined
 * anew, under another id, what the room shows already is not posted again.
 */
export class ChatOutbox {
  readonly #request: RequestEdge;
  readonly #changed: () => void;
  readonly #self: () => PeerId | undefined;
  #messages: readonly OutgoingChat[] = [];
  /** What the room may call each of them: one name for each peer that this client was when it sent it. */
  readonly #names = new Map<RequestId, Set<string>>();
  /** Until when each of them is sent again by itself. By the wall clock, since the other one may stand still while a machine sleeps. */
  readonly #sentByItselfUntilMs = new Map<RequestId, number>();
  /** What the room shows. */
  #shown: ReadonlySet<string> = new Set();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;

  /** @param self - whom the room knows this client as */
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
    this.#isWanted(message.requestId);
    void this.#send(message);
    return true;
  }

  /** Sends a message that failed once more, as the person asks. */
  retry(requestId: RequestId): void {
    this.#isWanted(requestId);
    this.#sendAgain(requestId);
  }

  #isWanted(requestId: RequestId): void {
    this.#sentByItselfUntilMs.set(requestId, Date.now() + SENT_LATER_WITHIN_MS);
  }

  #sendAgain(requestId: RequestId): void {
    const message = this.#messages.find((other) => other.requestId === requestId);
    if (message?.status !== 'failed') return;
    this.#replace(requestId, { requestId, text: message.text, status: 'sending' });
    void this.#send(message);
  }

  /** Sends again what an edge that went away may not have got, or what could not be kept at that time, and is still wanted. */
  resendFailed(): void {
    const nowMs = Date.now();
    for (const { requestId, errorCode } of this.#messages) {
      const isWanted = nowMs < (this.#sentByItselfUntilMs.get(requestId) ?? 0);
      if (isWanted && errorCode !== undefined && SENT_LATER.has(errorCode)) this.#sendAgain(requestId);
    }
  }

  /** The meeting is over: what is here now is sent when the person says so, and not by a later join. */
  stop(): void {
    this.#sentByItselfUntilMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
  }

  /** Drops what the room shows by now. */
  dropShown(chat: readonly ChatMessage[]): void {
    this.#shown = new Set(chat.map(({ messageId }) => messageId));
    const isShown = ({ requestId }: OutgoingChat): boolean =>
      [...(this.#names.get(requestId) ?? [])].some((name) => this.#shown.has(name));
    const left = this.#messages.filter((message) => !isShown(message));
    if (left.length !== this.#messages.length) this.#set(left);
  }

  /** Handles its own errors: they become the message's state. */
  async #send({ requestId, text }: OutgoingChat): Promise<void> {
    this.#name(requestId);
    try {
      const { message } = await this.#request('chat.post', { requestId, text });
      this.#addName(requestId, message.messageId);
      // The room may show it before the answer comes, which says what it is called there: nothing else would adjustCharge it then.
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

  #name(requestId: RequestId): void {
    const self = this.#self();
    if (self !== undefined) this.#addName(requestId, chatMessageId(self, requestId));
  }

  #addName(requestId: RequestId, messageId: string): void {
    this.#names.set(requestId, new Set(this.#names.get(requestId)).add(messageId));
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
    const known = new Set(messages.map(({ requestId }) => requestId));
    for (const kept of [this.#names, this.#sentByItselfUntilMs])
      for (const requestId of kept.keys()) if (!known.has(requestId)) kept.delete(requestId);
    this.#changed();
  }
}
