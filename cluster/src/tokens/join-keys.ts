import type { KeySetCache } from './key-set-cache.ts';
import { secretKey } from './signed.ts';
import type { KeyHint, Signer } from './signed.ts';

/** The secrets of each API key, the newest first; more than one while a secret is being replaced. */
export type ApiKeys = ReadonlyMap<string, readonly [string, ...string[]]>;

/**
 * Finds the keys that may have signed a join token: an API key's secrets (HS256, named by `kid`), or the keys that
 * its application publishes (ES256 and EdDSA, named by `kid`, of the application in `iss`). A token chooses among
 * keys, each for one algorithm; it never chooses how a key is used (SPEC TK8, TK20, TK21).
 */
export class JoinKeys {
  readonly #secrets: ApiKeys;
  readonly #published: ReadonlyMap<string, Pick<KeySetCache, 'find'>>;

  constructor(secrets: ApiKeys, published: ReadonlyMap<string, Pick<KeySetCache, 'find'>> = new Map()) {
    this.#secrets = secrets;
    this.#published = published;
  }

  /** @throws PlenaryError `keys_unavailable` */
  find({ algorithm, keyId = '', issuer = '' }: KeyHint): Signer | undefined {
    const published = this.#published.get(issuer);
    const secrets = this.#secrets.get(keyId);
    const isBySecret = algorithm === undefined || algorithm.startsWith('HS');
    // A published key is found even if the token names another algorithm, so that the error is about the algorithm.
    if (published !== undefined && (!isBySecret || secrets === undefined)) {
      const keys = published.find(keyId);
      return keys.length === 0 ? undefined : { issuer, keys };
    }
    return secrets && { issuer: keyId, keys: secrets.map(secretKey) };
  }
}
