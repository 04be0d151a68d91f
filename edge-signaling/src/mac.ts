import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Half of the bytes of SHA-256: attackers can try only a few a second unnoticed, and each event carries a MAC. */
export const MAC_BYTES = 16;

/** @param parts - only the last may contain a NUL, so that the boundaries between the parts are unambiguous */
export function macOf(key: KeyObject, ...parts: readonly (string | Buffer)[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const [index, part] of parts.entries()) {
    if (index > 0) hmac.update('\0');
    hmac.update(part);
  }
  return hmac.digest().subarray(0, MAC_BYTES);
}

/** Whether `mac` is the MAC of these parts, compared in constant time. */
export function isMacOf(mac: Buffer, key: KeyObject, ...parts: readonly (string | Buffer)[]): boolean {
  return mac.length === MAC_BYTES && timingSafeEqual(mac, macOf(key, ...parts));
}
