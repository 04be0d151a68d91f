/** A thread of `main.ts`: runs its share of the seeds and reports each outcome. */
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { report } from './report.ts';
import { simulate } from './simulate.ts';

const { from, to, every } = z.object({ from: z.int(), to: z.int(), every: z.int() }).parse(workerData);
for (let seed = from; seed < to; seed += every) {
  const outcome = await simulate(seed);
  parentPort?.postMessage({ steps: outcome.steps, report: report(outcome) });
}
