/** An application that publishes its keys over HTTP, and counts how often they are read. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signedBy } from './rival.ts';

export class CountedKeys {
  static readonly apiKey = 'counted';
  readonly #keys = generateKeyPairSync('ed25519');
  readonly #server = createServer((_request, response) => {
    this.#readings += 1;
    const key = { ...this.#keys.publicKey.export({ format: 'jwk' }), kid: 'published' };
    response.end(JSON.stringify({ keys: [key] }));
  });
  #readings = 0;
  #port = 0;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/jwks.json`;
  }

  /** How often edges have read the keys. */
  get readings(): number {
    return this.#readings;
  }

  /** A join token that names a key outside the set. */
  tokenOfUnknownKey(): string {
    return signedBy(this.#keys.privateKey, { apiKey: CountedKeys.apiKey, kid: randomUUID() }, 'mallory');
  }
}
