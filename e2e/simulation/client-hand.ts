import type { RequestEdge } from './client-requests.ts';

/** A simulated client's raised hand, by its edge's answers. */
export class ClientHand {
  readonly #try: RequestEdge['try'];
  #isUp: boolean | undefined = false;
  #changes = 0;

  constructor(tryRequest: RequestEdge['try']) {
    this.#try = tryRequest;
  }

  /** `undefined` while an answer is missing. */
  get isUp(): boolean | undefined {
    return this.#isUp;
  }

  async change(name: 'hand.raise' | 'hand.lower'): Promise<void> {
    this.#changes += 1;
    const change = this.#changes;
    this.#isUp = undefined;
    const reply = await this.#try(name, {});
    if (reply !== undefined && change === this.#changes) this.#isUp = name === 'hand.raise';
  }

  /** The peer is removed, and its hand with it. */
  forget(): void {
    this.#isUp = false;
    this.#changes += 1;
  }
}
