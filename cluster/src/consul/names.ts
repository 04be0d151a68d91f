import type { Namespace } from '../namespace.ts';

/** The kinds of our services in Consul. */
export type ServiceKind = 'edge' | 'media-node';
export const SERVICE_KINDS: readonly ServiceKind[] = ['edge', 'media-node'];

/** What the services and keys of one cluster are called in Consul: all begin with its namespace (SPEC NS1). */
export class ConsulNames {
  readonly #namespace: Namespace;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  service(kind: ServiceKind): string {
    return `${this.#namespace}-${kind}`;
  }

  /**
   * With the incarnation in it, so that a rival under the same id, on the same agent, replaces nothing before it is found
   * out.
   */
  serviceId(kind: ServiceKind, id: string, incarnation: string): string {
    return `${this.service(kind)}:${id}:${incarnation}`;
  }

  /** Who has the id. */
  idKey(kind: ServiceKind, id: string): string {
    return `${this.#namespace}/ids/${kind}/${id}`;
  }

  /** Who has which ports under an announced address. */
  bookKey(address: string): string {
    return `${this.#namespace}/slices/${address}`;
  }
}
