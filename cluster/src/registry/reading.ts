import { afterTurn } from '../process/entry.ts';

/** Records of one kind that a process reads at a time: several times the largest cluster. */
export const MAX_RECORDS = 1_000;
/** Of these, those that were known the last time: the places left are for others, however many forgeries are known. */
export const MAX_KNOWN_RECORDS = 900;
/** Records that are parsed in one turn of the event loop, in which nobody is served: a millisecond or two. */
export const RECORDS_A_TURN = 32;

/** Lets others be served. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    afterTurn(resolve);
  });
