/** The features of a room, each in its own folder. A new feature adds a line to each list here (CONTRIBUTING, "A feature"). */
import type { EntryKindDefinition } from '../protocol/room-entry.ts';
import { HAND, HAND_REQUESTS } from './hands/hands.ts';

export * from './hands/hands.ts';
export * from './permissions.ts';

/** The requests of all features. */
export const FEATURE_REQUESTS = {
  ...HAND_REQUESTS,
} as const;

/** The kinds of entries that features keep. */
export const ROOM_ENTRY_KINDS: readonly EntryKindDefinition[] = [HAND];
