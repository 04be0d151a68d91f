import type { RoomId } from '../protocol/ids.ts';
import type { StoreClient } from './client.ts';
import type { CommandGate } from './command-gate.ts';
import type { RoomKeys, StoreKeys } from './keys.ts';
import type { ReportMalformed } from './malformed.ts';
import { mendingRoom } from './mend-room.ts';
import { guarded } from './run-script.ts';
import type { RunScript } from './scripts.generated.ts';

export interface RedisRoomsOptions {
  readonly redis: StoreClient;
  readonly run: RunScript;
  readonly keys: StoreKeys;
  /** Called for records that are skipped because they do not parse (SPEC ST3). */
  readonly report: ReportMalformed;
  readonly gate: CommandGate;
}

/** The access of the room stores to Redis: all keys of a room have one hash tag, and each change is one script. */
export class RedisRooms {
  readonly redis: StoreClient;
  readonly report: ReportMalformed;
  readonly #options: RedisRoomsOptions;

  constructor(options: RedisRoomsOptions) {
    this.redis = options.redis;
    this.report = options.report;
    this.#options = options;
  }

  keys(roomId: RoomId): RoomKeys {
    return this.#options.keys.room(roomId);
  }

  /** The first arguments of a room's script: how to run it, and the keys from which it takes its own. */
  script(roomId: RoomId): [run: RunScript, keys: RoomKeys] {
    const { run, report } = this.#options;
    const keys = this.keys(roomId);
    return [async (...script) => mendingRoom(run, keys, report, async () => run(...script)), keys];
  }

  /** Runs a command on a key of a room. */
  async ask<Reply>(roomId: RoomId, key: string, command: () => Promise<Reply>): Promise<Reply> {
    const { run, report, gate } = this.#options;
    return mendingRoom(run, this.keys(roomId), report, async () => guarded(gate, key, command));
  }
}
