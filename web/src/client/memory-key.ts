import { p256 } from '@noble/curves/nist.js';

const COORDINATE_BYTES = 32;

/** A key for ECDSA with P-256 and SHA-256, made and used without WebCrypto. Loaded only where there is none. */
export interface MemoryKey {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
  /** @returns both halves of the signature, one behind the other, as WebCrypto gives them */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

export function createMemoryKey(): MemoryKey {
  const secret = p256.utils.randomSecretKey();
  // Behind a byte that says how the point is written.
  const point = p256.getPublicKey(secret, false).subarray(1);
  return {
    x: point.subarray(0, COORDINATE_BYTES),
    y: point.subarray(COORDINATE_BYTES),
    sign: (bytes) => p256.sign(bytes, secret, { format: 'compact' }),
  };
}
