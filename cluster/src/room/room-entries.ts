/** Small pieces of a room's state, of kinds that features define. Every method is one atomic change of one room. SPEC RE. */
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { ENTRY_SUM_MODULUS } from '../limits/store-limits.ts';
import type { EdgeId, PeerId, RoomId } from '../protocol/ids.ts';
import { MAX_ENTRY_WRITES, entryField } from '../protocol/room-entry.ts';
import type { EntryChange, EntryKey, EntryValue } from '../protocol/room-entry.ts';
import type { LoggedEvent } from '../protocol/room.ts';

/** What has to be so for a change to be made: the entry has this version, or, without one, there is no such entry. */
export type EntryCondition = EntryKey & { readonly version?: number };

/** An entry to be written, or, without a value, to be deleted. */
export type EntryWrite = EntryKey & {
  readonly value?: EntryValue;
  /** Entries of its kind that the room may have with it. */
  readonly most: number;
};

export interface EntryChangeRequest {
  readonly roomId: RoomId;
  /** Who changes. */
  readonly actor: PeerId;
  /** Which edge asks for it: of a session that another one took up since it changes nothing. */
  readonly edgeId: EdgeId;
  readonly conditions?: readonly EntryCondition[];
  readonly writes: readonly EntryWrite[];
}

export type EntryChangeResult =
  | {
      readonly type: 'changed';
      /** The entries as they are now, in the order of the writes. */
      readonly entries: readonly EntryState[];
      /** None where everything was so already. */
      readonly events: LoggedEvent[];
    }
  /** A condition was not met; the entries that the conditions name, as they are: one that is not there has version 0. */
  | { readonly type: 'unmet'; readonly current: readonly EntryState[] };

/** An entry as it stands, deleted or not; never written, its version is 0. */
export type EntryState = EntryChange | (EntryKey & { readonly version: 0; readonly value?: undefined });

/** How many entries a room has, deleted ones that are remembered among them, and the sum of their versions (RE6). */
export interface EntriesDigest {
  readonly count: number;
  readonly sum: number;
}

export const NO_ENTRIES: EntriesDigest = { count: 0, sum: 0 };

/**
 * Why an entry was not published again: its peer is not placed (`unplaced`), or left later than this was written, or so many
 * entries were deleted since that this one must have been as well (`gone`); or the room has no more place (`full`).
 */
export const ENTRY_VERDICT = z.enum(['unplaced', 'gone', 'full']);

export type EntryVerdict = z.infer<typeof ENTRY_VERDICT>;

export interface RepublishedEntries {
  readonly verdicts: readonly { readonly entry: EntryKey; readonly verdict: EntryVerdict }[];
  /** Tells of what was lost and is there again. */
  readonly events: LoggedEvent[];
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RoomEntries {
  /**
   * Makes a change whole, or not at all (RE2). A write that finds the entry as it wants it changes nothing, and keeps its version.
   * @throws PlenaryError `replaced` where the actor's session is held by another edge; `peer_not_found` where the actor, or whose entry it would be, is not placed; `limit_reached` where the
   *   room has as many entries of the kind, the peer as many entries, or the room as many bytes of them as it may
   */
  change(request: EntryChangeRequest): Promise<EntryChangeResult>;

  /**
   * Writes again what the room lost of its entries: of each the highest version wins, wherever it comes from (RE5).
   * @param entries - at most `MAX_EVENT_ENTRIES`, deleted ones among them
   */
  republish(roomId: RoomId, entries: readonly EntryChange[]): Promise<RepublishedEntries>;

  /** All entries of a room, also deleted ones that are remembered. */
  all(roomId: RoomId): Promise<readonly EntryChange[]>;
}

/** The digest of entries that are all of a room, deleted ones among them. */
export function entriesDigestOf(entries: Iterable<Pick<EntryChange, 'version'>>): EntriesDigest {
  let [count, sum] = [0, 0];
  for (const { version } of entries) {
    count += 1;
    sum = (sum + (version % ENTRY_SUM_MODULUS)) % ENTRY_SUM_MODULUS;
  }
  return { count, sum };
}

/** @throws PlenaryError `malformed_message` for a change of too many entries, or of one twice */
export function checkChange({ conditions = [], writes }: EntryChangeRequest): void {
  if (conditions.length > MAX_ENTRY_WRITES || writes.length > MAX_ENTRY_WRITES)
    throw new PlenaryError('malformed_message', `At most ${MAX_ENTRY_WRITES} entries are changed at a time.`);
  if (new Set(writes.map(entryField)).size < writes.length)
    throw new PlenaryError('malformed_message', 'An entry is written once in a change.');
}
