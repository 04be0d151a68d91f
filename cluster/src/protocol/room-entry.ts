/** Entries of a room: small pieces of its state, each of a kind that a feature defines. Edges, store and clients carry all kinds alike (SPEC RE). */
import { z } from 'zod';
import { HIGHEST_EPOCH, PEER_ID } from './ids.ts';
import { patternText, plainId } from './text.ts';

/** Most bytes of one entry's value, as JSON in UTF-8; a kind may allow less. */
export const MAX_ENTRY_BYTES = 4_096;
/** The largest number of conditions of one change, and of entries that it writes. */
export const MAX_ENTRY_WRITES = 8;
/** The largest number of entries in one event. */
export const MAX_EVENT_ENTRIES = 100;

const ENTRY_KIND = patternText(/^[a-z][a-z0-9-]{0,31}$/, 32, 'must be the kind of an entry');

/**
 * Identifies an entry. `peerId` is its owner, absent for an entry of the room; `name` distinguishes entries of one
 * kind and owner.
 */
export const ENTRY_KEY = z.object({
  kind: ENTRY_KIND,
  peerId: PEER_ID.optional(),
  name: plainId(64).optional(),
});
export type EntryKey = z.infer<typeof ENTRY_KEY>;

/** Orders all changes of the entries of one room: microseconds of Redis TIME at least, no two the same (RE1). */
export const ENTRY_VERSION = z.int().min(1).max(HIGHEST_EPOCH);

const encoder = new TextEncoder();

/** The bytes of a value as JSON. */
export const entryBytes = (value: object): number => encoder.encode(JSON.stringify(value)).byteLength;

/** The value of an entry; the schema of its kind restricts it further. */
export const ENTRY_VALUE = z
  .looseObject({})
  .refine(
    (value) => entryBytes(value) <= MAX_ENTRY_BYTES,
    `must be at most ${MAX_ENTRY_BYTES} bytes of JSON`,
  );
export type EntryValue = z.infer<typeof ENTRY_VALUE>;

/** An entry as a snapshot of the room contains it. */
export const ROOM_ENTRY = ENTRY_KEY.extend({ version: ENTRY_VERSION, value: ENTRY_VALUE });
export type RoomEntry = z.infer<typeof ROOM_ENTRY>;

/** An entry that changed; without a value it was deleted. */
export const ENTRY_CHANGE = ENTRY_KEY.extend({ version: ENTRY_VERSION, value: ENTRY_VALUE.optional() });
export type EntryChange = z.infer<typeof ENTRY_CHANGE>;

/** The name of an entry among all entries of its room. No part can contain the bar. */
export const entryField = ({ kind, peerId, name }: EntryKey): string =>
  `${kind}|${peerId ?? ''}|${name ?? ''}`;

/** @throws ZodError if the text is not the name of an entry */
export function parseEntryField(field: string): EntryKey {
  const [kind, peerId, name, ...more] = field.split('|');
  return ENTRY_KEY.parse({
    kind: more.length === 0 ? kind : undefined,
    ...(peerId === '' ? {} : { peerId }),
    ...(name === '' ? {} : { name }),
  });
}

/** The definition of a kind of entries; each feature gives it once (docs/adr/0011-room-entries.md). */
export interface EntryKindDefinition<Value extends z.ZodType<EntryValue> = z.ZodType<EntryValue>> {
  readonly kind: string;
  /** Whether an entry is deleted with its peer or with the room. */
  readonly owner: 'peer' | 'room';
  readonly value: Value;
  /** The largest number of live entries of this kind in one room. */
  readonly maxOfKind: number;
}

/** Defines a kind of entries. @throws ZodError for an invalid name */
export function defineEntryKind<Value extends z.ZodType<EntryValue>>(
  definition: EntryKindDefinition<Value>,
): EntryKindDefinition<Value> {
  ENTRY_KIND.parse(definition.kind);
  return definition;
}

/** The value of an entry of a kind; `undefined` if a later release wrote a value that this one cannot read. */
export function readEntry<Value extends z.ZodType<EntryValue>>(
  { kind, value }: EntryKindDefinition<Value>,
  entry: RoomEntry,
): z.output<Value> | undefined {
  return entry.kind === kind ? value.safeParse(entry.value).data : undefined;
}
