import { z } from 'zod';
import type { RoomId } from '../protocol/ids.ts';
import { entryField } from '../protocol/room-entry.ts';
import type { EntryChange } from '../protocol/room-entry.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import { checkChange } from '../room/room-entries.ts';
import type {
  EntryChangeRequest,
  EntryChangeResult,
  RepublishedEntries,
  RoomEntries,
} from '../room/room-entries.ts';
import type { RedisRooms } from './redis-rooms.ts';
import { readChangedEntries, readEntries, readRepublishedEntries } from './room-replies.ts';
import { changeEntries, republishEntries } from './scripts.generated.ts';

/** Separates the records in one argument; JSON escapes it. */
const RECORD_SEPARATOR = '\u001e';
const VALUES = z.record(OPAQUE_TEXT, OPAQUE_TEXT);

const jsonOf = (value: object | undefined): string => (value === undefined ? '' : JSON.stringify(value));

/** The entries of rooms in Redis. */
export class RedisRoomEntries implements RoomEntries {
  readonly #rooms: RedisRooms;

  constructor(rooms: RedisRooms) {
    this.#rooms = rooms;
  }

  async change(request: EntryChangeRequest): Promise<EntryChangeResult> {
    checkChange(request);
    const { roomId, actor, edgeId, conditions = [], writes } = request;
    const reply = await changeEntries(...this.#rooms.script(roomId), {
      actor,
      edgeId,
      conditions: conditions
        .map((condition) => `${entryField(condition)}|${condition.version ?? 0}`)
        .join(RECORD_SEPARATOR),
      writes: writes
        .map((write) => `${write.maxOfKind}|${entryField(write)}|${jsonOf(write.value)}`)
        .join(RECORD_SEPARATOR),
    });
    return readChangedEntries(reply, this.#rooms.report);
  }

  async republish(roomId: RoomId, entries: readonly EntryChange[]): Promise<RepublishedEntries> {
    const reply = await republishEntries(...this.#rooms.script(roomId), {
      entries: entries
        .map((entry) => `${entryField(entry)}|${entry.version}|${jsonOf(entry.value)}`)
        .join(RECORD_SEPARATOR),
    });
    return readRepublishedEntries(reply);
  }

  async list(roomId: RoomId): Promise<readonly EntryChange[]> {
    const { entries } = this.#rooms.keys(roomId);
    const values = await this.#rooms.ask(roomId, entries, async () => this.#rooms.redis.hgetall(entries));
    return readEntries(Object.entries(VALUES.parse(values)).flat(), this.#rooms.report);
  }
}
