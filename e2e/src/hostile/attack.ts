import type { HostileWorld, HostileWorldKind } from './hostile-world.ts';

/** What an attacker was told, each once: `ok`, codes of errors, `closed`, `refused 403`, HTTP statuses such as `http 400`. */
export type Answers = readonly string[];

/** One row of the attackers' table. */
export interface Attack {
  readonly name: string;
  readonly world: HostileWorldKind;
  /** What the stranger does, or what is odd, for people. */
  readonly does: string;
  /** What the stranger gets. Nothing else may be answered. */
  readonly gets: Answers;
  /**
   * Goes on until it is over, and tells what was answered. What it opened it has closed by then.
   * @param isOver - whether the time of the attack is up
   */
  readonly strike: (world: HostileWorld, isOver: () => boolean) => Promise<Answers>;
}

/** An attack that is the same small step, over and over. */
export async function over(isOver: () => boolean, step: () => Promise<string | Answers>): Promise<Answers> {
  const answers = new Set<string>();
  do {
    for (const answer of [await step()].flat()) answers.add(answer);
  } while (!isOver());
  return [...answers];
}

/**
 * An attack that tries each of a list, one after the other, over and over.
 * @param list - made anew for each round
 * @param attempt - what it was answered with
 */
export async function overEach<Item>(
  isOver: () => boolean,
  list: () => readonly Item[],
  attempt: (item: Item) => Promise<string>,
): Promise<Answers> {
  return over(isOver, async () => {
    const answers: string[] = [];
    for (const item of list()) answers.push(await attempt(item));
    return answers;
  });
}

/** Attacks by the world that they need. */
export function byWorldKind(attacks: readonly Attack[]): ReadonlyMap<HostileWorldKind, readonly Attack[]> {
  return Map.groupBy(attacks, ({ world }) => world);
}
