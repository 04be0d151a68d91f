import { PlenaryError } from '../errors.ts';
import type { RoomKeys } from './keys.ts';
import type { ReportMalformed } from './malformed.ts';
import { mendRoom } from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';
import { isReplyError } from './store-trouble.ts';

/** Whether a key had another type than a command is for. Of what a script met, servers say so in various words around these. */
const isOfOtherType = (fault: unknown): boolean =>
  fault instanceof PlenaryError && isReplyError(fault.cause) && fault.cause.message.includes('WRONGTYPE');

/**
 * Does something with a room of which no script can read a key that somebody replaced by one of another type: the room is
 * removed then, and its owners publish it again as after any loss (SPEC RC1).
 * @param keys - all of the room
 * @throws PlenaryError what `work` throws; `store_unavailable` where the room was removed
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
    throw new PlenaryError('store_unavailable', 'The room could not be read, and is published anew.', {
      cause: fault,
    });
  }
}
