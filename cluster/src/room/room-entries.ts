/** Small pieces of a room's state, of kinds that features define. Every method is one atomic change of one room. SPEC RE. */
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { ENTRY_SUM_MODULUS } from '../limits/store-limits.ts';
import type { EdgeId, PeerId, RoomId } from '../protocol/ids.ts';
import { ENTRY_VALUE, MAX_ENTRY_WRITES, entryField } from '../protocol/room-entry.ts';
import type { EntryChange, EntryKey, EntryValue } from '../protocol/room-entry.ts';
import type { LoggedEvent } from '../protocol/room.ts';

/** The precondition of a change: the entry has this version, or, without a version, the entry does not exist. */
export type EntryCondition = EntryKey & { readonly version?: number };

/** An entry to write, or, without a value, to delete. */
export type EntryWrite = EntryKey & {
  readonly value?: EntryValue;
  /** How many entries of this kind the room may have, this one included. */
  readonly maxOfKind: number;
};

export interface EntryChangeRequest {
  readonly roomId: RoomId;
  /** The peer that makes the change. */
  readonly actor: PeerId;
  /** The edge that requests the change. The store refuses the change if another edge resumed the session since. */
  readonly edgeId: EdgeId;
  readonly conditions?: readonly EntryCondition[];
  readonly writes: readonly EntryWrite[];
}

export type EntryChangeResult =
  | {
      readonly type: 'changed';
      /** The entries after the change, in the order of the writes. */
      readonly entries: readonly EntryState[];
      /** Empty where nothing had to change. */
      readonly events: LoggedEvent[];
    }
  /**
   * A condition was not met. Gives the present state of the entries that the conditions name; a missing entry has
   * version 0.
   */
  | { readonly type: 'unmet'; readonly current: readonly EntryState[] };

/** The present state of an entry, deleted or not. An entry that was never written has version 0. */
export type EntryState = EntryChange | (EntryKey & { readonly version: 0; readonly value?: undefined });

/** The number of a room's entries, remembered deleted ones included, and the sum of their versions (RE6). */
export interface EntriesDigest {
  readonly count: number;
  readonly sum: number;
}

export const NO_ENTRIES: EntriesDigest = { count: 0, sum: 0 };

/**
 * Why an entry was not republished. Its peer is not placed (`unplaced`). Its peer left after the entry was written, or
 * so many entries were deleted since that this one must have been among them (`gone`). The room has no more space
 * (`full`).
 */
export const ENTRY_VERDICT = z.enum(['unplaced', 'gone', 'full']);

export type EntryVerdict = z.infer<typeof ENTRY_VERDICT>;

export interface RepublishedEntries {
  readonly verdicts: readonly { readonly entry: EntryKey; readonly verdict: EntryVerdict }[];
  /** Announces the entries that were lost and are restored. */
  readonly events: LoggedEvent[];
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RoomEntries {
  /**
   * Makes a change completely or not at all (RE2). A write that would not change its entry leaves the entry's version
   * as it is.
   * @throws PlenaryError `replaced` where another edge holds the actor's session; `peer_not_found` where the actor, or
   * the owner of an entry, is not placed; `limit_reached` where the room already has as many entries of the kind, the
   * peer as many entries, or the room as many bytes of entries as it may
   */
  change(request: EntryChangeRequest): Promise<EntryChangeResult>;

  /**
   * Restores the entries that the room lost. The highest version of each entry wins, whichever edge republishes it
   * (RE5).
   * @param entries - at most `MAX_EVENT_ENTRIES`, deleted ones included
   */
  republish(roomId: RoomId, entries: readonly EntryChange[]): Promise<RepublishedEntries>;

  /** Lists all entries of a room, remembered deleted ones included. */
  list(roomId: RoomId): Promise<readonly EntryChange[]>;
}

/** The digest of all entries of a room, deleted ones included. */
export function entriesDigestOf(entries: Iterable<Pick<EntryChange, 'version'>>): EntriesDigest {
  let [count, sum] = [0, 0];
  for (const { version } of entries) {
    count += 1;
    sum = (sum + (version % ENTRY_SUM_MODULUS)) % ENTRY_SUM_MODULUS;
  }
  return { count, sum };
}

/** @throws PlenaryError `malformed_message` if a change has too many entries, names one entry twice, or has a value that no reader takes */
export function checkChange({ conditions = [], writes }: EntryChangeRequest): void {
  if (conditions.length > MAX_ENTRY_WRITES || writes.length > MAX_ENTRY_WRITES)
    throw new PlenaryError(
      'malformed_message',
      `At most ${MAX_ENTRY_WRITES} entries can be changed in one request.`,
    );
  if (new Set(writes.map(entryField)).size < writes.length)
    throw new PlenaryError('malformed_message', 'A change may write each entry only once.');
  for (const { kind, value } of writes)
    if (value !== undefined && !ENTRY_VALUE.safeParse(value).success)
      throw new PlenaryError('malformed_message', `The value of the entry ${kind} is too large.`);
}
