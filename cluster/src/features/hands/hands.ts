/**
 * Raised hands: the requests of clients, the entries of the room, and the rights of roles. This is the worked example
 * of a feature (CONTRIBUTING, "A feature").
 */
import { z } from 'zod';
import { NOTHING } from '../../protocol/define.ts';
import { PEER_ID } from '../../protocol/ids.ts';
import { defineEntryKind } from '../../protocol/room-entry.ts';
import type { PermissionTable } from '../permissions.ts';

/** The largest number of raised hands in one room. */
export const MAX_RAISED_HANDS = 256;

/** The raised hand of a person; its version orders the raised hands. */
export const HAND = defineEntryKind({
  kind: 'hand',
  owner: 'peer',
  value: z.object({}),
  maxOfKind: MAX_RAISED_HANDS,
});

export const HAND_REQUESTS = {
  'hand.raise': {
    summary: 'Raises the client’s own hand. A hand that is already up keeps its place.',
    payload: NOTHING,
    reply: NOTHING,
  },
  'hand.lower': {
    summary:
      'Lowers the client’s own hand, or, as a host or moderator, that of another peer. A hand that is not up is no error.',
    payload: z.object({ peerId: PEER_ID.optional() }),
    reply: NOTHING,
  },
} as const;

/** Everybody, including viewers, may raise and lower their own hand. */
export const HAND_PERMISSIONS = { lowerOthers: ['host', 'moderator'] } as const satisfies PermissionTable;
