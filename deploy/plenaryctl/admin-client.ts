import { ADMIN_DRAIN_PATH, ADMIN_DRAIN_REPLY } from '@plenary/cluster';
import type { AdminDrainReply } from '@plenary/cluster';
import type { NodeAddress } from './node-address.ts';

const ANSWER_WITHIN_MS = 5_000;

/** The process did not do what it was asked; the message says why. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal';
}

/** Asks one process, as the operators' token allows. */
export class AdminClient {
  readonly #address: NodeAddress;
  readonly #token: string;

  constructor(address: NodeAddress, token: string) {
    this.#address = address;
    this.#token = token;
  }

  /** @throws AdminRefusal */
  async status(): Promise<AdminDrainReply> {
    return this.#ask('GET');
  }

  /** Begins, or sets another deadline. @throws AdminRefusal */
  async drain(deadlineMs: number): Promise<AdminDrainReply> {
    const { id } = this.#address;
    return this.#ask('POST', { deadlineMs, ...(id === undefined ? {} : { id }) });
  }

  /** @throws AdminRefusal */
  async undrain(): Promise<AdminDrainReply> {
    // Asked first: behind a shared URL the request may reach another process than was named.
    await this.status();
    return this.#ask('DELETE');
  }

  async #ask(method: string, body?: unknown): Promise<AdminDrainReply> {
    const { url, id } = this.#address;
    const response = await this.#send(method, body);
    const answer: unknown = await response.json().catch(() => undefined);
    switch (response.status) {
      case 200:
        break;
      case 401:
        throw new AdminRefusal(`${url} refuses the token: it has another PLENARY_ADMIN_TOKEN.`);
      case 404:
        throw new AdminRefusal(
          `${url} has no ${ADMIN_DRAIN_PATH}: it has no PLENARY_ADMIN_TOKEN, or a proxy answered in its place.`,
        );
      case 409:
        throw new AdminRefusal(elsewhere(url, id));
      default:
        throw new AdminRefusal(`${url} answered ${response.status}.`);
    }
    const reply = ADMIN_DRAIN_REPLY.safeParse(answer);
    if (!reply.success) throw new AdminRefusal(`${url} is no process of Plenary.`);
    if (id !== undefined && reply.data.id !== id) throw new AdminRefusal(elsewhere(url, id));
    return reply.data;
  }

  async #send(method: string, body: unknown): Promise<Response> {
    const { url } = this.#address;
    try {
      return await fetch(new URL(ADMIN_DRAIN_PATH, url), {
        method,
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new AdminRefusal(`${url} does not answer.`, { cause });
    }
  }
}

function elsewhere(url: string, id: string | undefined): string {
  return `${url} is not ${id ?? 'that process'}, but another one behind the same URL: give the URL of the process itself.`;
}
