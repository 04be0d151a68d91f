import { PlenaryError } from '@plenary/cluster/errors';
import { REQUEST_ID, TOKEN_TEXT, type RoomName } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { newRequestId } from '../client/request-edge.ts';
import type { TokenGrant } from '../client/index.ts';

const ANSWER_TIMEOUT_MS = 10_000;
/** An answer, whatever it holds. */
const ADDRESSED = z.looseObject({ type: z.literal('plenary.token'), id: REQUEST_ID });
const ANSWER = z.union([
  z.looseObject({ refused: z.literal(true) }).transform(() => undefined),
  z.looseObject({ token: TOKEN_TEXT, refused: z.literal(false).optional() }).transform(({ token }) => token),
]);

/** The windows as far as they count here. */
export interface FramedWindow {
  readonly parent: Pick<Window, 'postMessage'>;
  readonly location: { readonly ancestorOrigins?: { readonly [index: number]: string | undefined } };
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  removeEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

/** Whether this page is shown in a frame of another one. */
export function isFramed(): boolean {
  return globalThis.window !== undefined && window.parent !== window;
}

/**
 * Gets join tokens from the page that shows this one in a frame: asks it by a message, and believes only the parent, and
 * only where it is of a site that the cluster lets embed its page (SPEC RJ7).
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
   * @throws PlenaryError `guests_not_allowed` when the parent refuses; `token_unavailable` when it does not answer, answers
   *   with something else, or may not be asked
   */
  async get({ fresh }: { readonly fresh: boolean }): Promise<TokenGrant> {
    const allowed = await this.#origins();
    const targets = this.#targets(allowed);
    if (targets.length === 0)
      throw unavailable('The page around this one is of no site that may give tokens.');
    const id = newRequestId();
    const answered = this.#answer(id, new Set(allowed));
    for (const origin of targets)
      this.#window.parent.postMessage({ type: 'plenary.getToken', id, roomId: this.#roomId, fresh }, origin);
    return { token: await answered };
  }

  /** Who may be the parent. Where the browser tells who it is, no other one is called. */
  #targets(allowed: readonly string[]): readonly string[] {
    const parent = this.#window.location.ancestorOrigins?.[0];
    return parent === undefined ? allowed : allowed.filter((origin) => origin === parent);
  }

  #answer(id: string, allowed: ReadonlySet<string>): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#window.removeEventListener('message', listen);
      };
      const timer = setTimeout(() => {
        settle();
        reject(unavailable('The page around this one did not answer.'));
      }, ANSWER_TIMEOUT_MS);
      const listen = (event: MessageEvent): void => {
        if (event.source !== this.#window.parent || !allowed.has(event.origin)) return;
        const addressed = ADDRESSED.safeParse(event.data);
        if (!addressed.success || addressed.data.id !== id) return;
        settle();
        const answer = ANSWER.safeParse(event.data);
        if (!answer.success)
          reject(unavailable('The page around this one gave something else than a token.'));
        else if (answer.data === undefined)
          reject(new PlenaryError('guests_not_allowed', 'The page around this one gives no token.'));
        else resolve(answer.data);
      };
      this.#window.addEventListener('message', listen);
    });
  }
}

const unavailable = (why: string): PlenaryError => new PlenaryError('token_unavailable', why);
