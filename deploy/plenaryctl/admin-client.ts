import { ADMIN_DRAIN_PATH, ADMIN_DRAIN_REPLY, askAdmin } from '@plenary/cluster';
import type { AdminDrainReply, Secrets } from '@plenary/cluster';
import type { NodeAddress } from './node-address.ts';

/** The process did not do what it was asked; the message says why. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal';
}

/** Asks one process, as the operators' token allows. */
export class AdminClient {
  readonly #address: NodeAddress;
  readonly #tokens: Secrets;

  constructor(address: NodeAddress, tokens: Secrets) {
    this.#address = address;
    this.#tokens = tokens;
  }

  /** @throws AdminRefusal, AdminFault */
  async status(): Promise<AdminDrainReply> {
    return this.#ask('GET');
  }

  /** Begins, or sets another deadline. @throws AdminRefusal, AdminFault */
  async drain(deadlineMs: number): Promise<AdminDrainReply> {
    const { subject } = this.#address;
    return this.#ask('POST', { deadlineMs, ...(subject === undefined ? {} : { id: subject.id }) });
  }

  /** @throws AdminRefusal, AdminFault */
  async undrain(): Promise<AdminDrainReply> {
    return this.#ask('DELETE');
  }

  async #ask(method: string, body?: unknown): Promise<AdminDrainReply> {
    const { url } = this.#address;
    const answer = await askAdmin(this.#address, this.#tokens, {
      method,
      path: ADMIN_DRAIN_PATH,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    switch (answer.status) {
      case 200:
        break;
      case 401:
        throw new AdminRefusal(`${url} refuses the token: it has another PLENARY_ADMIN_TOKEN.`);
      case 404:
        throw new AdminRefusal(
          `${url} has no ${ADMIN_DRAIN_PATH}: it has no PLENARY_ADMIN_TOKEN, or that is not its operators' port.`,
        );
      default:
        throw new AdminRefusal(`${url} answered ${answer.status}.`);
    }
    const reply = ADMIN_DRAIN_REPLY.safeParse(answer.body);
    if (!reply.success) throw new AdminRefusal(`${url} is no process of Plenary.`);
    return reply.data;
  }
}
