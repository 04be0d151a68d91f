import { afterTurn } from '../process/guarded-callbacks.ts';

/** Records of one kind that a process reads at a time: several times the largest cluster. */
export const MAX_RECORDS = 1_000;
/**
 * How many of these may be already known records: the remaining places are for others, however many forgeries are
 * known.
 */
export const MAX_KNOWN_RECORDS = 900;
/** Records parsed in one turn of the event loop: a millisecond or two, during which nothing else runs. */
const RECORDS_A_TURN = 32;

/** Lets the event loop run between records: {@link RECORDS_A_TURN} are parsed per turn. */
export class ParsingTurns {
  #parsed = 0;

  /** Call this after each parsed record. Resolves in the next turn once this turn has had its share. */
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
