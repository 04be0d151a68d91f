import type { KeyObject } from 'node:crypto';
import { deriveBytes, deriveKey } from './derive.ts';
import type { KeyPurpose, Secrets } from './derive.ts';

/** A key and its public name. */
export interface NamedKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys for one purpose: one signs, and all are accepted (SPEC KY2). */
export class KeyRing {
  /** The key that signs. */
  readonly current: NamedKey;
  readonly #keys: ReadonlyMap<string, KeyObject>;

  private constructor(keys: readonly [NamedKey, ...NamedKey[]]) {
    [this.current] = keys;
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
  }

  static derive([current, ...others]: Secrets, purpose: KeyPurpose): KeyRing {
    const named = (secret: string): NamedKey => ({ id: keyIdOf(secret), key: deriveKey(secret, purpose) });
    return new KeyRing([named(current), ...others.map(named)]);
  }

  find(id: string): KeyObject | undefined {
    return this.#keys.get(id);
  }
}

/** The public name of a secret; it does not reveal the secret. */
export function keyIdOf(secret: string): string {
  return deriveBytes(secret, 'key-id').subarray(0, 6).toString('base64url');
}
