/** The client's copy of a room's entries, of all kinds. Each feature interprets its own kind (SPEC RE8). */
import {
  entryField,
  readEntry,
  type EntryChange,
  type EntryKindDefinition,
  type EntryValue,
  type PeerId,
  type RoomEntry,
} from '@plenary/cluster/protocol';
import type { z } from 'zod';

/** Entries keyed by kind, owner and name. */
export type KnownEntries = ReadonlyMap<string, RoomEntry>;

export const entriesOf = (entries: readonly RoomEntry[]): KnownEntries =>
  new Map(entries.map((entry) => [entryField(entry), entry]));

/** Applies changes. An entry with a higher version than the change stays. */
export function changeEntries(entries: KnownEntries, changes: readonly EntryChange[]): KnownEntries {
  const changed = new Map(entries);
  for (const { value, ...change } of changes) {
    const field = entryField(change);
    if ((changed.get(field)?.version ?? 0) >= change.version) continue;
    if (value === undefined) changed.delete(field);
    else changed.set(field, { ...change, value });
  }
  return changed;
}

/** The entries without those of a peer that left. */
export function withoutEntriesOf(entries: KnownEntries, peerId: PeerId): KnownEntries {
  return new Map([...entries].filter(([, entry]) => entry.peerId !== peerId));
}

/** An entry of one kind, with its typed value. */
export interface TypedEntry<Value extends z.ZodType<EntryValue>> {
  readonly entry: RoomEntry;
  readonly value: z.output<Value>;
}

/** The readable entries of one kind, in the order in which they were written. */
export function entriesOfKind<Value extends z.ZodType<EntryValue>>(
  entries: KnownEntries,
  kind: EntryKindDefinition<Value>,
): readonly TypedEntry<Value>[] {
  return [...entries.values()]
    .flatMap((entry) => {
      const value = readEntry(kind, entry);
      return value === undefined ? [] : [{ entry, value }];
    })
    .sort((left, right) => left.entry.version - right.entry.version);
}
