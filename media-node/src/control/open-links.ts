import type { Socket } from 'socket.io';
import type { AcceptedControlLink } from './accepted-control-link.ts';

/**
 * The open control links of edges and other media nodes. The control server keeps it current; rooms use it to find an
 * edge.
 */
export class OpenLinks {
  readonly #links = new Map<Socket, AcceptedControlLink>();

  set(socket: Socket, link: AcceptedControlLink): void {
    this.#links.set(socket, link);
  }

  delete(socket: Socket): void {
    this.#links.delete(socket);
  }

  /** Returns the link of an edge, if one is open; of several, the one that opened first. */
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
