import {
  ADMIN_DRAIN_PATH,
  ADMIN_DRAIN_REPLY,
  ADMIN_PEOPLE_PATH,
  ADMIN_PEOPLE_REPLY,
  ADMIN_REVOKE_PATH,
  ADMIN_REVOKE_REPLY,
  ADMIN_ROOMS_PATH,
  ADMIN_ROOMS_REPLY,
  askAdmin,
} from '@plenary/cluster';
import type {
  AdminDrainReply,
  AdminPeopleReply,
  AdminRevokeRequest,
  AdminRoomsReply,
  Secrets,
} from '@plenary/cluster';
import { lineText } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { NodeAddress } from './node-address.ts';

const REASON = z.object({ error: lineText(1_000) });

/** The process refused or failed the request; the message says why. */
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
    return this.#ask(ADMIN_DRAIN_REPLY, 'GET', ADMIN_DRAIN_PATH);
  }

  /** Begins, or sets another deadline. @throws AdminRefusal, AdminFault */
  async drain(deadlineMs: number): Promise<AdminDrainReply> {
    const { subject } = this.#address;
    const id = subject === undefined ? {} : { id: subject.id };
    return this.#ask(ADMIN_DRAIN_REPLY, 'POST', ADMIN_DRAIN_PATH, { deadlineMs, ...id });
  }

  /** @throws AdminRefusal, AdminFault */
  async undrain(): Promise<AdminDrainReply> {
    return this.#ask(ADMIN_DRAIN_REPLY, 'DELETE', ADMIN_DRAIN_PATH);
  }

  /** Of an edge. @throws AdminRefusal, AdminFault */
  async rooms(tenant: string | undefined): Promise<AdminRoomsReply> {
    const asked = tenant === undefined ? {} : { tenant };
    return this.#ask(ADMIN_ROOMS_REPLY, 'POST', ADMIN_ROOMS_PATH, asked);
  }

  /** Of an edge. @throws AdminRefusal, AdminFault */
  async people(tenant: string, room: string): Promise<AdminPeopleReply> {
    return this.#ask(ADMIN_PEOPLE_REPLY, 'POST', ADMIN_PEOPLE_PATH, { tenant, room });
  }

  /** By an edge; in the whole cluster, but for sessions, of which it ends its own. @throws AdminRefusal, AdminFault */
  async revoke(request: AdminRevokeRequest): Promise<number> {
    return (await this.#ask(ADMIN_REVOKE_REPLY, 'POST', ADMIN_REVOKE_PATH, request)).ended;
  }

  async #ask<Reply>(schema: z.ZodType<Reply>, method: string, path: string, body?: unknown): Promise<Reply> {
    const { url } = this.#address;
    const answer = await askAdmin(this.#address, this.#tokens, {
      method,
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const reason = REASON.safeParse(answer.body);
    switch (answer.status) {
      case 200:
        break;
      case 401:
        throw new AdminRefusal(`${url} refuses the token: it has another PLENARY_ADMIN_TOKEN.`);
      case 404:
        throw new AdminRefusal(
          reason.success
            ? `${url}: ${reason.data.error}.`
            : `${url} has no ${path}: it has no PLENARY_ADMIN_TOKEN, or that is not its operators' port.`,
        );
      default:
        throw new AdminRefusal(
          `${url} answered ${answer.status}${reason.success ? `: ${reason.data.error}` : ''}.`,
        );
    }
    const reply = schema.safeParse(answer.body);
    if (!reply.success) throw new AdminRefusal(`${url} is no process of Plenary.`);
    return reply.data;
  }
}
