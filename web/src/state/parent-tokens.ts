import { PlenaryError } from '@plenary/cluster/errors';
import { REQUEST_ID, TOKEN_TEXT, type RoomName } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { newRequestId } from '../client/request-edge.ts';
import type { TokenGrant } from '../client/index.ts';

const ANSWER_TIMEOUT_MS = 10_000;
/** Any answer to our request. */
const ADDRESSED = z.looseObject({ type: z.literal('plenary.token'), id: REQUEST_ID });
const ANSWER = z.union([
  z.looseObject({ refused: z.literal(true) }).transform(() => undefined),
  z.looseObject({ token: TOKEN_TEXT, refused: z.literal(false).optional() }).transform(({ token }) => token),
]);

/** The parts of `Window` that are used here. */
export interface FramedWindow {
  readonly parent: Pick<Window, 'postMessage'>;
  readonly location: { readonly ancestorOrigins?: { readonly [index: number]: string | undefined } };
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  removeEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

/** Whether another page embeds this one in a frame. */
export function isFramed(): boolean {
  return globalThis.window !== undefined && window.parent !== window;
}

/**
 * Gets join tokens from the embedding page by messages. Accepts answers only from the parent window, and only from an origin that the
 * cluster allows to embed its page (SPEC RJ7).
 */
export class ParentTokens {
  readonly #roomId: RoomName;
  readonly #origins: () => Promise<readonly string[]>;
  readonly #window: FramedWindow;

  constructor(roomId: RoomName, origins: () => Promise<readonly string[]>, ownWindow: FramedWindow) {
    this.#roomId = roomId;
    this.#origins = origins;
    this.#window = ownWindow;
  }

  /**
   * @throws PlenaryError `guests_not_allowed` when the parent refuses; `token_unavailable` when it does not answer, answers with something
   *   else, or has an origin that is not allowed
   */
  async get({ fresh }: { readonly fresh: boolean }): Promise<TokenGrant> {
    const allowed = await this.#origins();
    const targets = this.#targets(allowed);
    if (targets.length === 0) throw unavailable('No origin of the embedding page is allowed to give tokens.');
    const id = newRequestId();
    const answer = this.#answer(id, new Set(allowed));
    for (const origin of targets)
      this.#window.parent.postMessage({ type: 'plenary.getToken', id, roomId: this.#roomId, fresh }, origin);
    return { token: await answer };
  }

  /** The possible origins of the parent. If the browser reports the origin, only that one is addressed. */
  #targets(allowed: readonly string[]): readonly string[] {
    const parent = this.#window.location.ancestorOrigins?.[0];
    return parent === undefined ? allowed : allowed.filter((origin) => origin === parent);
  }

  #answer(id: string, allowed: ReadonlySet<string>): Promise<string> {
    return new Promise((resolve, reject) => {
      const stopListening = (): void => {
        clearTimeout(timer);
        this.#window.removeEventListener('message', listen);
      };
      const timer = setTimeout(() => {
        stopListening();
        reject(unavailable('The embedding page did not answer.'));
      }, ANSWER_TIMEOUT_MS);
      const listen = (event: MessageEvent): void => {
        if (event.source !== this.#window.parent || !allowed.has(event.origin)) return;
        const addressed = ADDRESSED.safeParse(event.data);
        if (!addressed.success || addressed.data.id !== id) return;
        stopListening();
        const answer = ANSWER.safeParse(event.data);
        if (!answer.success) reject(unavailable('The embedding page gave something other than a token.'));
        else if (answer.data === undefined)
          reject(new PlenaryError('guests_not_allowed', 'The embedding page refused to give a token.'));
        else resolve(answer.data);
      };
      this.#window.addEventListener('message', listen);
    });
  }
}

const unavailable = (why: string): PlenaryError => new PlenaryError('token_unavailable', why);
