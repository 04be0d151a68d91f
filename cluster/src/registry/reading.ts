import { afterTurn } from '../process/entry.ts';

/** Records of one kind that a process reads at a time: several times the largest cluster. */
export const MAX_RECORDS = 1_000;
/** Of these, those that were known the last time: the places left are for others, however many forgeries are known. */
export const MAX_KNOWN_RECORDS = 900;
/** Records that are parsed in one turn of the event loop, in which nobody is served: a millisecond or two. */
const RECORDS_A_TURN = 32;

/** Lets others be served while records are parsed: {@link RECORDS_A_TURN} in each turn of the event loop. */
export class ParsingTurns {
  #parsed = 0;

  /** One more record was parsed. Settles in the next turn where this one has had its share. */
  async next(): Promise<void> {
    this.#parsed += 1;
    if (this.#parsed % RECORDS_A_TURN === 0)
      await new Promise<void>((resolve) => {
        afterTurn(resolve);
      });
  }
}

export const inOrderOfIds = <Record>(byId: ReadonlyMap<string, Record>): Record[] =>
  [...byId].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, record]) => record);
