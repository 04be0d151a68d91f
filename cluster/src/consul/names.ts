import type { Namespace } from '../namespace.ts';

/** The kinds of our services in Consul. */
export type ServiceKind = 'edge' | 'media-node';
export const SERVICE_KINDS: readonly ServiceKind[] = ['edge', 'media-node'];

/** The names of one cluster's services and keys in Consul: all begin with its namespace (SPEC NS1). */
export class ConsulNames {
  readonly #namespace: Namespace;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  service(kind: ServiceKind): string {
    return `${this.#namespace}-${kind}`;
  }

  /**
   * The id contains the incarnation, so that a rival under the same id, on the same agent, replaces nothing before it
   * is detected.
   */
  serviceId(kind: ServiceKind, id: string, incarnation: string): string {
    return `${this.service(kind)}:${id}:${incarnation}`;
  }

  /** The key of the claim on an id. */
  idKey(kind: ServiceKind, id: string): string {
    return `${this.#namespace}/ids/${kind}/${id}`;
  }

  /** The key of the ports that are claimed under an announced address. */
  bookKey(address: string): string {
    return `${this.#namespace}/slices/${address}`;
  }
}
