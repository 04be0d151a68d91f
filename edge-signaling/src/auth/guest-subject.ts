import { randomBytes } from 'node:crypto';

const PREFIX = 'guest-';

/** A subject for one guest token, which nobody else has. */
export function newGuestSubject(): string {
  return PREFIX + randomBytes(12).toString('base64url');
}

/** Whether an edge made the token, for anybody. Applications do not name their people so. */
export function isGuest(subject: string): boolean {
  return subject.startsWith(PREFIX);
}
