import { p256 } from '@noble/curves/nist.js';

const COORDINATE_BYTES = 32;

/** An ECDSA key (P-256, SHA-256) that needs no WebCrypto. The module is loaded only where WebCrypto is missing. */
export interface MemoryKey {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
  /** @returns the two halves of the signature, concatenated as in WebCrypto */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

export function createMemoryKey(): MemoryKey {
  const secret = p256.utils.randomSecretKey();
  // The first byte names the encoding of the point.
  const point = p256.getPublicKey(secret, false).subarray(1);
  return {
    x: point.subarray(0, COORDINATE_BYTES),
    y: point.subarray(COORDINATE_BYTES),
    sign: (bytes) => p256.sign(bytes, secret, { format: 'compact' }),
  };
}
