import { whyNoDatacenters } from '@plenary/deploy/local-cluster';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { CurrentWorld } from '../harness/current-world.ts';
import { byWorld, worldOf } from './fault.ts';
import type { Fault } from './fault.ts';
import { survive } from './meeting.ts';
import { FaultWorld } from './fault-world.ts';

const TIMEOUT_MS = 600_000;

/** Defines one test for each row, all with the same body; rows with one kind of store share a cluster. */
export async function describeFaults(faults: readonly Fault[]): Promise<void> {
  const fault = await whyNoDatacenters();
  const why = fault === undefined ? '' : ` – skipped: ${fault}`;
  for (const rows of byWorld(faults)) {
    const [first] = rows;
    if (first === undefined) continue;
    const options = worldOf(first);
    const clock = options.hasOwnClock ? ' and a host with its own clock' : '';
    describe.skipIf(fault !== undefined)(
      `a meeting over two datacenters, with store “${options.store}”${clock}, survives${why}`,
      () => {
        const world = new CurrentWorld(() => FaultWorld.start(options));
        beforeAll(() => world.start(), TIMEOUT_MS);
        afterAll(() => world.end(), TIMEOUT_MS);

        it.each(rows.map((row) => [row.name, row] as const))(
          '%s',
          async (_, row) => {
            await world.act((current) => survive(current, row));
          },
          TIMEOUT_MS,
        );
      },
    );
  }
}
