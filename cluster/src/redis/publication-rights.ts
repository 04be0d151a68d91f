import { isReplyError, storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/**
 * Owns why Redis refuses this process' publications, until it takes one. A quiet edge publishes nothing, and would never find out
 * that it may again: so the connection tries where nobody listens.
 */
export class PublicationRights {
  readonly #publish: (channel: string, payload: string | Buffer) => Promise<unknown>;
  #refusal: { readonly channel: string; readonly trouble: StoreTrouble } | undefined;

  constructor(publish: (channel: string, payload: string | Buffer) => Promise<unknown>) {
    this.#publish = publish;
  }

  get trouble(): StoreTrouble | undefined {
    return this.#refusal?.trouble;
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    try {
      const receivers = await this.#publish(channel, payload);
      this.#refusal = undefined;
      return receivers;
    } catch (fault) {
      if (isReplyError(fault)) this.#refusal = { channel, trouble: storeTroubleOf(fault) };
      throw fault;
    }
  }

  /** Publishes to a channel that nobody hears. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#refusal === undefined) return;
    const { channel, trouble } = this.#refusal;
    await this.#publish(`${channel}:nobody`, '').then(
      () => {
        this.#refusal = undefined;
      },
      (fault: unknown) => {
        this.#refusal = { channel, trouble: isReplyError(fault) ? storeTroubleOf(fault) : trouble };
      },
    );
  }
}
