import type { IncomingMessage } from 'node:http';
import type { AddressReader } from '../http/client-address.ts';
import { cluesOfNode } from '../http/node-adapter.ts';

/**
 * Owns the client address of each handshake request. The carrier notes it where the request can be read only before its
 * handler returns (uWebSockets.js); elsewhere it is read from the request when it is first needed.
 */
export class RequestAddresses {
  readonly #read: AddressReader;
  readonly #known = new WeakMap<object, string>();

  constructor(read: AddressReader) {
    this.#read = read;
  }

  note(request: object, address: string): void {
    this.#known.set(request, address);
  }

  of(request: IncomingMessage): string {
    const known = this.#known.get(request);
    if (known !== undefined) return known;
    const address = this.#read(cluesOfNode(request));
    this.#known.set(request, address);
    return address;
  }
}
