import { randomBytes } from 'node:crypto';

/** Returns a unique subject for one guest token. */
export function newGuestSubject(): string {
  return `guest-${randomBytes(12).toString('base64url')}`;
}
