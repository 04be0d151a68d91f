import { describe, expect, it } from 'vitest';
import { report } from './report.ts';
import { simulate } from './simulate.ts';

/** This many seeds take a few seconds; `npm run simulate -- --seeds 5000` runs more. */
const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);

describe('simulation', () => {
  it('the same seed gives the same steps', async () => {
    const traceOf = async (seed: number): Promise<string[]> => {
      const lines: string[] = [];
      await simulate(seed, { onLine: (line) => lines.push(line) });
      return lines;
    };

    const [first, again, other] = [await traceOf(7), await traceOf(7), await traceOf(8)];

    expect(first.length).toBeGreaterThan(100);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('every rule holds under every fault', { timeout: 600_000 }, async () => {
    const broken: string[] = [];
    for (const seed of SEEDS) {
      const failure = report(await simulate(seed));
      if (failure !== undefined) broken.push(failure);
    }

    expect(broken).toEqual([]);
  });
});
