import { z } from 'zod';
import { INCARNATION } from '../protocol/ids.ts';
import type { AnnounceResult } from '../registry/registry.ts';
import type { ConsulClient } from './consul-client.ts';
import { parseValue } from './parse-value.ts';
import type { ConsulNames, ServiceKind } from './names.ts';

const GRANTED: AnnounceResult = { refused: null };

const ID_HOLDER = z.object({ incarnation: INCARNATION });

/** Whose id is claimed, under which session. */
export interface IdClaim {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly session: string;
}

/**
 * Who owns which id, in Consul's KV store: a key that a session holds. A session ends with the check of its service, so that
 * a claim lapses with the lease and costs no write to renew.
 */
export class IdClaims {
  readonly #client: Pick<ConsulClient, 'readKey' | 'acquireKey' | 'destroySession'>;
  readonly #names: ConsulNames;
  readonly #onMalformed: (detail: string) => void;

  /** @param onMalformed - told of a value that does not parse, which is taken for another's */
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
      // A session of our own whose creation was not answered, or that an outage kept us from ending.
      await this.#client.destroySession(holder.session);
    }
  }

  #isOwn(value: string, { incarnation }: Pick<IdClaim, 'incarnation'>): boolean {
    return parseValue(ID_HOLDER, value, this.#onMalformed)?.incarnation === incarnation;
  }
}
