import type { HostileWorld, HostileWorldKind } from './hostile-world.ts';

/** The answers that an attacker got, each once: `ok`, error codes, `closed`, `refused 403`, HTTP statuses such as `http 400`. */
export type Answers = readonly string[];

/** One row of the attackers' table. */
export interface Attack {
  readonly name: string;
  readonly world: HostileWorldKind;
  /** What the stranger or the odd circumstance does, in words for people. */
  readonly description: string;
  /** The answers that the stranger may get. Any other answer fails the row. */
  readonly allowedAnswers: Answers;
  /**
   * Attacks until `isOver`, and returns the answers. It has closed what it opened by then.
   * @param isOver - whether the attack's time is up
   */
  readonly strike: (world: HostileWorld, isOver: () => boolean) => Promise<Answers>;
}

/** Repeats one small step of an attack. */
export async function repeatUntil(
  isOver: () => boolean,
  step: () => Promise<string | Answers>,
): Promise<Answers> {
  const answers = new Set<string>();
  do {
    for (const answer of [await step()].flat()) answers.add(answer);
  } while (!isOver());
  return [...answers];
}

/**
 * Repeats an attack that tries the items of a list one after the other.
 * @param list - makes the list again for each round
 * @param attempt - tries an item and returns its answer
 */
export async function repeatEachUntil<Item>(
  isOver: () => boolean,
  list: () => readonly Item[],
  attempt: (item: Item) => Promise<string>,
): Promise<Answers> {
  return repeatUntil(isOver, async () => {
    const answers: string[] = [];
    for (const item of list()) answers.push(await attempt(item));
    return answers;
  });
}

/** Groups attacks by the world that they need. */
export function byWorldKind(attacks: readonly Attack[]): ReadonlyMap<HostileWorldKind, readonly Attack[]> {
  return Map.groupBy(attacks, ({ world }) => world);
}
