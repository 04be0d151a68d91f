import { afterAll, beforeAll, describe, it } from 'vitest';
import { byWorldKind } from './attack.ts';
import type { Attack } from './attack.ts';
import { CurrentWorld } from '../harness/current-world.ts';
import { HostileWorld } from './hostile-world.ts';
import { withstand } from './withstand.ts';

const TIMEOUT_MS = 300_000;

/** Defines one test for each row, all with the same body; rows of one world share a cluster and a meeting. */
export function describeAttacks(all: readonly Attack[]): void {
  for (const [kind, attacks] of byWorldKind(all)) {
    describe(`a meeting in the world “${kind}” does not notice`, () => {
      const world = new CurrentWorld(() => HostileWorld.start(kind));
      beforeAll(() => world.start(), TIMEOUT_MS);
      afterAll(() => world.end(), TIMEOUT_MS);

      it.each(attacks.map((attack) => [attack.name, attack] as const))(
        '%s',
        async (_, attack) => {
          await world.act((current) => withstand(current, attack));
        },
        TIMEOUT_MS,
      );
    });
  }
}
