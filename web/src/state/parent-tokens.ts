import { PlenaryError } from '@plenary/cluster/errors';
import type { RoomName } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { newRequestId } from '../client/request-edge.ts';
import type { TokenGrant } from '../client/index.ts';

const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER = z.object({
  type: z.literal('plenary.token'),
  id: z.string(),
  token: z.string().min(1).max(4_096).optional(),
  refused: z.boolean().optional(),
});

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

  /** @throws PlenaryError `timed_out` when the parent does not answer, `guests_not_allowed` when it refuses */
  async get({ fresh }: { readonly fresh: boolean }): Promise<TokenGrant> {
    const allowed = await this.#origins();
    const id = newRequestId();
    const answered = this.#answer(id, new Set(allowed));
    for (const origin of this.#targets(allowed))
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
        reject(new PlenaryError('timed_out', 'The page around this one gave no token.'));
      }, ANSWER_TIMEOUT_MS);
      const listen = (event: MessageEvent): void => {
        if (event.source !== this.#window.parent || !allowed.has(event.origin)) return;
        const answer = ANSWER.safeParse(event.data);
        if (!answer.success || answer.data.id !== id) return;
        settle();
        const { token } = answer.data;
        if (token !== undefined && answer.data.refused !== true) resolve(token);
        else reject(new PlenaryError('guests_not_allowed', 'The page around this one gives no token.'));
      };
      this.#window.addEventListener('message', listen);
    });
  }
}
