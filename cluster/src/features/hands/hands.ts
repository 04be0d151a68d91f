/** Raised hands: what clients ask, what the room keeps, and who may do what. The worked example of a feature (CONTRIBUTING, "A feature"). */
import { z } from 'zod';
import { NOTHING } from '../../protocol/define.ts';
import { PEER_ID } from '../../protocol/ids.ts';
import { defineEntryKind } from '../../protocol/room-entry.ts';
import type { PermissionTable } from '../permissions.ts';

/** Hands that are up in one room at a time, at most. */
export const MAX_RAISED_HANDS = 256;

/** A person's hand, as long as it is up. Its version is its place among the hands that are up. */
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

/** Everybody, viewers too, raises and lowers their own. */
export const HAND_PERMISSIONS = { lowerOthers: ['host', 'moderator'] } as const satisfies PermissionTable;
