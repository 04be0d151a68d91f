import { randomBytes } from 'node:crypto';

/** A subject for one guest token, which nobody else has. */
export function newGuestSubject(): string {
  return `guest-${randomBytes(12).toString('base64url')}`;
}
