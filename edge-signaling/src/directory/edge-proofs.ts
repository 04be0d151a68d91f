import type { EdgeRecord, KeyRing } from '@plenary/cluster';
import { isMacOf, macOf } from '../mac.ts';

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
    return `${id}.${macOf(key, ...partsOf(edge)).toString('base64url')}`;
  }

  isProven(edge: Led & Pick<EdgeRecord, 'proof'>): boolean {
    const [id = '', mac = ''] = (edge.proof ?? '').split('.');
    const key = this.#keys.find(id);
    return key !== undefined && isMacOf(Buffer.from(mac, 'base64url'), key, ...partsOf(edge));
  }
}

/** None of them holds a NUL. */
const partsOf = ({ edgeId, incarnation, publicUrl }: Led): string[] => [edgeId, incarnation, publicUrl];
