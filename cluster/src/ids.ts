import { randomBytes, randomUUID } from 'node:crypto';
import { INCARNATION, PEER_ID } from './protocol/ids.ts';
import type { Incarnation, PeerId } from './protocol/ids.ts';

/** Mints the id of a peer: 16 random bytes, so that nobody can guess it and two edges never mint the same. */
export function mintPeerId(): PeerId {
  return PEER_ID.parse(randomBytes(16).toString('base64url'));
}

/** Mints the incarnation of one run of a process: a restart under the same id gets another one. */
export function mintIncarnation(): Incarnation {
  return INCARNATION.parse(randomUUID());
}
