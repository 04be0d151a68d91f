/** The features of a room, each in a folder of its own. One that is added has a line in each list here (CONTRIBUTING, "A feature"). */
import type { EntryKindDefinition } from '../protocol/room-entry.ts';
import { HAND, HAND_REQUESTS } from './hands/hands.ts';

export * from './hands/hands.ts';
export * from './permissions.ts';

/** What clients may ask of features. */
export const FEATURE_REQUESTS = {
  ...HAND_REQUESTS,
} as const;

/** The kinds of entries that features keep. */
export const ROOM_ENTRY_KINDS: readonly EntryKindDefinition[] = [HAND];
