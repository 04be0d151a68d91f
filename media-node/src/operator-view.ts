import { AdminDoor } from '@plenary/cluster';
import type { AdminSettings, Clock, Drain, MediaNodeId, Readiness } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';

/** What the operators' port shows: why the node is not started yet, and then the node. It listens before the node has ports. */
export class OperatorView<Member> {
  readonly #subject: { readonly kind: 'media-node'; readonly id: MediaNodeId };
  readonly #door: AdminDoor | undefined;
  #waitsFor = 'starting';
  #node: { readiness(): Readiness } | undefined;
  #drain: Drain<Member> | undefined;

  constructor(
    mediaNodeId: MediaNodeId,
    { adminSecrets }: Pick<MediaNodeConfig['operators'], 'adminSecrets'>,
    clock: Clock,
  ) {
    this.#subject = { kind: 'media-node', id: mediaNodeId };
    this.#door = adminSecrets === undefined ? undefined : new AdminDoor(adminSecrets, this.#subject, clock);
  }

  /** The start waits for something. */
  waitsFor(reason: string): void {
    this.#waitsFor = reason;
  }

  /** @param drain - what operators begin and cancel */
  started(node: { readiness(): Readiness }, drain: Drain<Member>): void {
    this.#node = node;
    this.#drain = drain;
  }

  readiness(): Readiness {
    return this.#node?.readiness() ?? { ready: false, reasons: [this.#waitsFor] };
  }

  /** What `/admin` works on; `undefined` without an admin token, and before the start. */
  admin(): AdminSettings | undefined {
    if (this.#door === undefined || this.#drain === undefined) return undefined;
    return { ...this.#subject, door: this.#door, drain: this.#drain };
  }
}
