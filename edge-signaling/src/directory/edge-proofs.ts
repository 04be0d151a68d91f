import type { EdgeRecord, KeyRing } from '@plenary/cluster';
import { isMacOf, macOf } from '../mac.ts';

/** The fields of a record that clients are routed by; the proof covers them. */
type ProvenFields = Pick<EdgeRecord, 'edgeId' | 'incarnation' | 'publicUrl'>;

/**
 * Proves in the registry that an address belongs to an edge of this cluster (SPEC NS7). Clients send their tokens to the
 * addresses that edges name. Without a proof, anyone who can write to Redis or Consul could direct clients to another server.
 */
export class EdgeProofs {
  readonly #keys: KeyRing;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  /** Returns the proof that this edge writes into its record. */
  proofOf(edge: ProvenFields): string {
    const { id, key } = this.#keys.current;
    return `${id}.${macOf(key, ...partsOf(edge)).toString('base64url')}`;
  }

  isProven(edge: ProvenFields & Pick<EdgeRecord, 'proof'>): boolean {
    const [id = '', mac = ''] = (edge.proof ?? '').split('.');
    const key = this.#keys.find(id);
    return key !== undefined && isMacOf(Buffer.from(mac, 'base64url'), key, ...partsOf(edge));
  }
}

/** The parts that the MAC covers; none contains a NUL, which separates them. */
const partsOf = ({ edgeId, incarnation, publicUrl }: ProvenFields): string[] => [
  edgeId,
  incarnation,
  publicUrl,
];
