import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { EdgeRecord, KeyRing } from '@plenary/cluster';

const MAC_BYTES = 16;

/** What leads clients to an edge. */
type Led = Pick<EdgeRecord, 'edgeId' | 'incarnation' | 'publicUrl'>;

/**
 * Proves in the registry that an edge of this cluster is at an address (SPEC NS7). Clients go where they are told that edges
 * are, and bring their tokens: whoever else can write to Redis or Consul is not to have them go to an address of their own.
 */
export class EdgeProofs {
  readonly #keys: KeyRing;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  /** Of this edge, for its record. */
  proofOf(edge: Led): string {
    const { id, key } = this.#keys.current;
    return `${id}.${macOf(key, edge).toString('base64url')}`;
  }

  isProven(edge: Led & Pick<EdgeRecord, 'proof'>): boolean {
    const [id = '', mac = ''] = (edge.proof ?? '').split('.');
    const key = this.#keys.find(id);
    if (key === undefined) return false;
    const given = Buffer.from(mac, 'base64url');
    return given.length === MAC_BYTES && timingSafeEqual(given, macOf(key, edge));
  }
}

/** None of the parts holds a NUL, so that none can be taken for another. */
function macOf(key: KeyObject, { edgeId, incarnation, publicUrl }: Led): Buffer {
  const parts = [edgeId, incarnation, publicUrl].join('\0');
  return createHmac('sha256', key).update(parts).digest().subarray(0, MAC_BYTES);
}
