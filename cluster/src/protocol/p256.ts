/**
 * Checks that a public key is a point of the curve P-256 (SEC 2, 2.4.2). It does not use Node's crypto, because the
 * browser uses the schemas too.
 */
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8_aa3a93e7_b3ebbd55_769886bc_651d06b0_cc53b0f6_3bce3c3e_27d2604bn;

/** @param x - 32 bytes in base64url */
export function isOnP256(x: string, y: string): boolean {
  const [left, right] = [integerOf(x), integerOf(y)];
  if (left >= P || right >= P) return false;
  // y² = x³ - 3x + b, modulo p
  return (right * right - (left * left * left - 3n * left + B)) % P === 0n;
}

function integerOf(base64url: string): bigint {
  const bytes = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  let hex = '0x';
  for (const byte of bytes) hex += byte.charCodeAt(0).toString(16).padStart(2, '0');
  return BigInt(hex);
}
