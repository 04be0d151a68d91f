import { AdminDoor } from '@plenary/cluster';
import type { AdminSettings, Clock, Drain, MediaNodeId, Readiness } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';

/**
 * The state that the operators' port shows: first why the node has not started yet, then the node. The port opens
 * before the node has RTP ports.
 */
export class OperatorView<Member> {
  readonly #subject: { readonly kind: 'media-node'; readonly id: MediaNodeId };
  readonly #door: AdminDoor | undefined;
  #waitReason = 'starting';
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

  /** Notes what the start waits for. */
  noteWaiting(reason: string): void {
    this.#waitReason = reason;
  }

  /** Shows the node from now on. @param drain - the drain that operators begin and cancel */
  started(node: { readiness(): Readiness }, drain: Drain<Member>): void {
    this.#node = node;
    this.#drain = drain;
  }

  readiness(): Readiness {
    return this.#node?.readiness() ?? { ready: false, reasons: [this.#waitReason] };
  }

  /** The settings of `/admin`; `undefined` without an admin token, and before the start. */
  admin(): AdminSettings | undefined {
    if (this.#door === undefined || this.#drain === undefined) return undefined;
    return { ...this.#subject, door: this.#door, drain: this.#drain };
  }
}
