import { PlenaryError } from '../errors.ts';
import type { RoomKeys } from './keys.ts';
import type { ReportMalformed } from './malformed.ts';
import { mendRoom } from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';
import { isReplyError } from './store-trouble.ts';

/** Whether a key had the wrong type for a command. Servers word the error of a script in various ways around this. */
const isOfOtherType = (fault: unknown): boolean =>
  fault instanceof PlenaryError && isReplyError(fault.cause) && fault.cause.message.includes('WRONGTYPE');

/**
 * Does work on a room. If somebody replaced one of its keys by a key of another type, no script can read the room: it
 * is removed, and its owners republish it as after any loss (SPEC RC1).
 * @param keys - all keys of the room
 * @throws PlenaryError what `work` throws; `store_unavailable` if the room was removed
 */
export async function mendingRoom<Result>(
  run: RunScript,
  keys: RoomKeys,
  report: ReportMalformed,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (fault) {
    if (!isOfOtherType(fault)) throw fault;
    if ((await mendRoom(run, keys)) === 1)
      report('room', () => `a key of the room of ${keys.placements} had another type`);
    throw new PlenaryError('store_unavailable', 'The room could not be read and is being rebuilt.', {
      cause: fault,
    });
  }
}
