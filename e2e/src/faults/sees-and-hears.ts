import { until } from '../harness/until.ts';
import type { Person } from './person.ts';

/** How many frames of a kind prove that a person is seen or heard. */
const ENOUGH_FRAMES = 15;
/** Far beyond what a fault or a loaded machine takes, in milliseconds. */
export const RECOVERY_TIMEOUT_MS = 60_000;

/** Waits until everybody has received more pictures and sound from everybody else. */
export async function everybodySeesAndHears(people: readonly Person[]): Promise<void> {
  await Promise.all(
    people.map(async (person) => {
      const keys = streamsFor(person, people);
      const { delivered: before } = await person.read();
      const more = (delivered: Readonly<Record<string, number>>): Record<string, number> =>
        Object.fromEntries(keys.map((key) => [key, (delivered[key] ?? 0) - (before[key] ?? 0)]));
      await until(
        `${person.name} sees and hears the others`,
        async () => more((await person.read()).delivered),
        (counts) => Object.values(counts).every((count) => count >= ENOUGH_FRAMES),
        RECOVERY_TIMEOUT_MS,
      );
    }),
  );
}

function streamsFor(person: Person, people: readonly Person[]): string[] {
  return people.filter((other) => other !== person).flatMap(({ name }) => [`${name} video`, `${name} audio`]);
}
