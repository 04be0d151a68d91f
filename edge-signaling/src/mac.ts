import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Half of SHA-256's: nobody can try more than a handful a second unnoticed, and each event carries it. */
export const MAC_BYTES = 16;

/** @param parts - of which only the last may hold a NUL, so that nothing of the one can be taken for the other */
export function macOf(key: KeyObject, ...parts: readonly (string | Buffer)[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const [index, part] of parts.entries()) {
    if (index > 0) hmac.update('\0');
    hmac.update(part);
  }
  return hmac.digest().subarray(0, MAC_BYTES);
}

/** Whether that is the MAC of these parts, found out in constant time. */
export function isMacOf(mac: Buffer, key: KeyObject, ...parts: readonly (string | Buffer)[]): boolean {
  return mac.length === MAC_BYTES && timingSafeEqual(mac, macOf(key, ...parts));
}
