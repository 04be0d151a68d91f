// @ts-check
import { join } from 'node:path';
import { installPackages } from './apt.mjs';
import { gatherFacts } from './facts.mjs';
import { takeLock } from './lock.mjs';
import { toolchain } from './paths.mjs';
import { planSetup } from './plan.mjs';
import { Progress, formatDuration } from './progress.mjs';
import { buildWebApp } from './step-web.mjs';
import { installDependencies } from './step-dependencies.mjs';
import { prepareGlibc, prepareNode } from './step-node.mjs';
import { prepareConsul } from './step-consul.mjs';
import { prepareK6 } from './step-k6.mjs';
import { prepareWorker } from './step-worker.mjs';

/**
 * Makes the machine ready; does nothing, and says nothing, where it is.
 * @param {import('./plan.mjs').Purpose} purpose
 * @param {{ verbose: boolean }} options `verbose`: say so when there was nothing to do
 * @throws {import('./errors.mjs').SetupError}
 */
export async function setUp(purpose, options) {
  const startedAt = Date.now();
  if (planSetup(gatherFacts(purpose), purpose).length === 0) {
    if (options.verbose) console.log('Everything is in place.');
    return;
  }
  const release = await takeLock(join(toolchain, 'lock'), (pid) => {
    console.log(`Another setup is running here (process ${pid}); waiting for it to finish.`);
  });
  process.once('exit', release);
  try {
    // Looked at again: while we waited, the other setup may have done everything.
    const facts = gatherFacts(purpose);
    const steps = planSetup(facts, purpose);
    const progress = new Progress(steps.length);
    for (const step of steps) {
      progress.start(step.title, step.detail);
      try {
        progress.done(await runStep(step, facts, progress));
      } catch (error) {
        progress.failed();
        throw error;
      }
    }
    if (steps.length > 0) console.log(`Set up in ${formatDuration(Date.now() - startedAt)}.`);
  } finally {
    process.off('exit', release);
    release();
  }
}

/**
 * @param {import('./plan.mjs').Step} step
 * @param {import('./plan.mjs').Facts} facts
 * @param {Progress} progress
 * @returns {Promise<string>} what was done
 */
async function runStep(step, facts, progress) {
  switch (step.id) {
    case 'packages':
      await installPackages(step.packages, 'packages', (line) => progress.detail(line));
      return `installed ${step.packages.join(', ')}`;
    case 'node':
      return prepareNode();
    case 'glibc':
      return prepareGlibc();
    case 'dependencies':
      return installDependencies();
    case 'worker':
      return prepareWorker(facts, progress);
    case 'consul':
      return prepareConsul();
    case 'k6':
      return prepareK6(facts, progress);
    case 'web':
      return buildWebApp();
  }
}
