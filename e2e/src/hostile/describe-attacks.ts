import { afterAll, beforeAll, describe, it } from 'vitest';
import { byWorldKind } from './attack.ts';
import type { Attack } from './attack.ts';
import { CurrentWorld } from '../harness/current-world.ts';
import { untilUndisturbed, watchingStandstill } from '../harness/standstill.ts';
import { HostileWorld } from './hostile-world.ts';
import { withstand } from './withstand.ts';

const TIMEOUT_MS = 300_000;
/** Time for a row that is begun anew, in a world of its own. */
const ROW_TIMEOUT_MS = 600_000;

/** One test for each row, all of them with the same body; rows of one world share a cluster and a meeting. */
export function describeAttacks(all: readonly Attack[]): void {
  for (const [kind, attacks] of byWorldKind(all)) {
    describe(`a meeting in the world “${kind}” does not notice`, () => {
      const world = new CurrentWorld(() => HostileWorld.start(kind));
      beforeAll(() => world.start(), TIMEOUT_MS);
      afterAll(() => world.end(), TIMEOUT_MS);

      it.each(attacks.map((attack) => [attack.name, attack] as const))(
        '%s',
        async (_, attack) => {
          await untilUndisturbed(() =>
            world.act((current) =>
              watchingStandstill(
                current.cluster,
                () => withstand(current, attack),
                // No process ends because it stood still.
                () => current.ended.length === 0,
              ),
            ),
          );
        },
        ROW_TIMEOUT_MS,
      );
    });
  }
}
