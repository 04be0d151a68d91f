import type { Socket } from 'socket.io';
import type { AcceptedControlLink } from './accepted-control-link.ts';

/** Owns which control links are open, of edges and other media nodes. The control server fills it; rooms find an edge in it. */
export class OpenLinks {
  readonly #links = new Map<Socket, AcceptedControlLink>();

  set(socket: Socket, link: AcceptedControlLink): void {
    this.#links.set(socket, link);
  }

  delete(socket: Socket): void {
    this.#links.delete(socket);
  }

  /** The link of an edge, if one is open; of several the one that opened first. */
  anyEdge(): AcceptedControlLink | undefined {
    for (const link of this.#links.values()) {
      if (link.caller.kind === 'edge') return link;
    }
    return undefined;
  }

  [Symbol.iterator](): IterableIterator<[Socket, AcceptedControlLink]> {
    return this.#links.entries();
  }
}
