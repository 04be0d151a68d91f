import { defineConfig } from 'vitest/config';

const everywhere = ['**/node_modules/**', '**/dist/**', '.toolchain/**', '.plenary/**'];
const contract = '**/*.contract.test.ts';
const integration = '**/*.integration.test.ts';
const endToEnd = '**/*.e2e.test.ts';
const simulation = '**/*.simulation.test.ts';
const rows = '**/*.rows.test.ts';
const faults = '**/*.faults.test.ts';
const hostile = '**/*.hostile.test.ts';
const distant = '**/*.distant.test.ts';

/** Files at a time. Vitest's default would leave one core idle. */
const WORKERS = 2;
/** Unit test files at a time: the web app's tests wait for timers, so that two would leave the cores idle. */
const UNIT_WORKERS = 4;
/** Contract test files at a time: they wait for Redis and Consul to fail and return, so that two would leave the cores idle. */
const CONTRACT_WORKERS = 4;
/** Integration test files at a time: they mostly wait for processes, so that three fill two cores. */
const INTEGRATION_WORKERS = 3;
/** Longer than any single wait of these tests (`waitFor`), in milliseconds, so that the wait's own message is shown. */
const SLOWEST_MS = 300_000;

/** Vitest's default of a second would fail a test when the machine stands still for that long, in milliseconds. */
const PATIENT = { poll: { timeout: 60_000 } };

/**
 * Nine kinds of tests, by what they need:
 * - `unit`: nothing but our code; all of them together take seconds, since files share the modules of their process
 * - `simulation`: edges, media nodes and clients in one process over virtual time; takes two cores for a minute
 * - `contract`: one suite for every version of a port; starts a real Redis of its own
 * - `integration`: real processes of ours
 * - `e2e`: the whole cluster with real Chromium and Firefox
 * - `rows`: draining, and some rows of the fault and the attackers' table, one at a time: they look for what people could notice
 * - `faults`: the whole fault table, and what else takes longer than `npm test` has time for
 * - `hostile`: the whole attackers' table, likewise
 * - `distant`: the whole contract on a store 30 ms away, likewise
 *
 * There are no retries: a test that passes only sometimes has found something. Time limits are far beyond what a test takes,
 * so that a busy machine fails none.
 */
export default defineConfig({
  test: {
    retry: 0,
    // Child processes, not threads: a test that starts processes must be able to end with them.
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'unit',
          expect: PATIENT,
          include: ['**/src/**/*.test.{ts,tsx}', 'deploy/**/*.test.ts'],
          exclude: [
            ...everywhere,
            contract,
            simulation,
            integration,
            endToEnd,
            rows,
            faults,
            hostile,
            distant,
          ],
          pool: 'forks',
          // To load all modules anew for each file takes longer than the tests do. `setupFiles` undoes what a file changed.
          isolate: false,
          setupFiles: ['deploy/testing/undo-after-file.ts'],
          maxWorkers: UNIT_WORKERS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'simulation',
          expect: PATIENT,
          include: [simulation, 'e2e/simulation/**/*.test.ts'],
          exclude: everywhere,
          pool: 'forks',
          maxWorkers: WORKERS,
          testTimeout: SLOWEST_MS,
          hookTimeout: SLOWEST_MS,
        },
      },
      {
        test: {
          name: 'contract',
          expect: PATIENT,
          include: [contract],
          exclude: everywhere,
          pool: 'forks',
          maxWorkers: CONTRACT_WORKERS,
          testTimeout: SLOWEST_MS,
          hookTimeout: SLOWEST_MS,
        },
      },
      {
        test: {
          name: 'integration',
          expect: PATIENT,
          include: [integration],
          exclude: everywhere,
          pool: 'forks',
          maxWorkers: INTEGRATION_WORKERS,
          testTimeout: SLOWEST_MS,
          hookTimeout: SLOWEST_MS,
        },
      },
      {
        test: {
          name: 'e2e',
          include: [`e2e/${endToEnd}`],
          exclude: everywhere,
          pool: 'forks',
          maxWorkers: WORKERS,
          testTimeout: SLOWEST_MS,
          hookTimeout: SLOWEST_MS,
        },
      },
      {
        test: {
          name: 'rows',
          include: [`e2e/${rows}`],
          exclude: everywhere,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: SLOWEST_MS,
          hookTimeout: SLOWEST_MS,
        },
      },
      {
        test: {
          name: 'faults',
          include: [`e2e/${faults}`],
          exclude: everywhere,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'hostile',
          include: [`e2e/${hostile}`],
          exclude: everywhere,
          pool: 'forks',
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'distant',
          include: [distant],
          exclude: everywhere,
          pool: 'forks',
          testTimeout: SLOWEST_MS,
          hookTimeout: 90_000,
        },
      },
    ],
  },
});
