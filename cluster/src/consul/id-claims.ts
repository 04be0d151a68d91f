import { z } from 'zod';
import { INCARNATION } from '../protocol/ids.ts';
import type { AnnounceResult } from '../registry/registry.ts';
import type { ConsulClient } from './consul-client.ts';
import { parseValue } from './parse-value.ts';
import type { ConsulNames, ServiceKind } from './names.ts';

const GRANTED: AnnounceResult = { refused: null };

const ID_HOLDER = z.object({ incarnation: INCARNATION });

/** The claimed id, and the session of the claim. */
export interface IdClaim {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly session: string;
}

/**
 * The owners of ids, in Consul's KV store: a key that a session holds. A session ends with the check of its service,
 * so a claim lapses with the lease and needs no write to renew.
 */
export class IdClaims {
  readonly #client: Pick<ConsulClient, 'readKey' | 'acquireKey' | 'destroySession'>;
  readonly #names: ConsulNames;
  readonly #onMalformed: (detail: string) => void;

  /** @param onMalformed - called for a value that does not parse, which counts as another owner's */
  constructor(
    client: Pick<ConsulClient, 'readKey' | 'acquireKey' | 'destroySession'>,
    names: ConsulNames,
    onMalformed: (detail: string) => void,
  ) {
    this.#client = client;
    this.#names = names;
    this.#onMalformed = onMalformed;
  }

  /** Whether another incarnation holds the id in a datacenter; in the local one if none is named. */
  async isHeld(claim: Omit<IdClaim, 'session'>, dc?: string): Promise<boolean> {
    const holder = await this.#client.readKey(this.#names.idKey(claim.kind, claim.id), dc);
    return holder?.session !== undefined && !this.#isOwn(holder.value, claim);
  }

  /** Takes the id in the local datacenter. */
  async claim(claim: IdClaim): Promise<AnnounceResult> {
    const key = this.#names.idKey(claim.kind, claim.id);
    const value = JSON.stringify({ incarnation: claim.incarnation });
    for (;;) {
      if (await this.#client.acquireKey(key, value, claim.session)) return GRANTED;
      const holder = await this.#client.readKey(key);
      if (holder?.session === undefined) continue;
      if (!this.#isOwn(holder.value, claim)) return { refused: 'id_taken' };
      // This process created this session without getting the answer, or could not end it in an outage.
      await this.#client.destroySession(holder.session);
    }
  }

  #isOwn(value: string, { incarnation }: Pick<IdClaim, 'incarnation'>): boolean {
    return parseValue(ID_HOLDER, value, this.#onMalformed)?.incarnation === incarnation;
  }
}
