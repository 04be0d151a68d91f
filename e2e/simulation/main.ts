/**
 * `npm run simulate -- --seeds 5000` runs many seeds; `npm run simulate -- --seed N --trace` runs one seed and prints every
 * step. The exit code is 1 if a rule broke.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { report } from './report.ts';
import { simulate } from './simulate.ts';

const NUMBER = z.coerce.number().int().min(0);
const OPTIONS = z.object({
  /** How many seeds to run. */
  seeds: NUMBER.default(500),
  /** The first seed. */
  from: NUMBER.default(1),
  /** Runs only this seed. */
  seed: NUMBER.optional(),
  /** Prints every step of the seed. */
  trace: z.boolean().default(false),
  /** Threads that run seeds. */
  jobs: NUMBER.min(1).default(availableParallelism()),
});

/** A thread's report of a finished seed. */
const DONE = z.object({ steps: z.number(), report: z.string().optional() });

async function runOne(seed: number, trace: boolean): Promise<boolean> {
  const outcome = await simulate(seed, trace ? { onLine: (line) => console.log(line) } : {});
  console.log(report(outcome) ?? `seed ${seed}: every rule held over ${outcome.steps} steps`);
  return outcome.broken === undefined;
}

/** Divides the seeds among threads, each with a virtual clock of its own. */
async function runMany(from: number, count: number, jobs: number): Promise<boolean> {
  const startedMs = performance.now();
  let done = 0;
  let steps = 0;
  let broken = 0;
  const seconds = (): string => ((performance.now() - startedMs) / 1_000).toFixed(0);
  const runShare = (share: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./seed-worker.ts', import.meta.url), {
        workerData: { from: from + share, to: from + count, every: jobs },
      });
      worker.on('message', (message: unknown) => {
        const result = DONE.parse(message);
        done += 1;
        steps += result.steps;
        if (result.report !== undefined) {
          broken += 1;
          console.log(result.report);
        }
        if (done % 500 === 0)
          console.log(`${done} of ${count} seeds, ${broken} broke a rule, ${seconds()} s`);
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: jobs }, (_, share) => runShare(share)));
  console.log(
    `${done} seeds from ${from}, ${steps} steps, ${seconds()} s: ${broken === 0 ? 'every rule held' : `${broken} broke a rule`}`,
  );
  return broken === 0 && done === count;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    jobs: { type: 'string' },
  },
});
const options = OPTIONS.parse(values);
const held =
  options.seed === undefined
    ? await runMany(options.from, options.seeds, options.jobs)
    : await runOne(options.seed, options.trace);
process.exitCode = held ? 0 : 1;
