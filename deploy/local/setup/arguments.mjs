// @ts-check
import { SetupError } from './errors.mjs';

export const USAGE = `Usage: node deploy/local/bootstrap.mjs <command>

  setup [--for base|start|test]        make this machine ready (default: for test, which is everything)
  start [options of the cluster]       make ready, then run a local cluster (npm start -- --help for its options)
  test [options of the test runner]    make ready, then run all tests
  run [--for base|start|test] <cmd…>   make ready (default: for start), then run a command inside the toolchain

Everything that is fetched or built goes into .toolchain; removing that folder undoes it (system packages stay).`;

/**
 * @typedef {{ command: 'setup', purpose: import('./plan.mjs').Purpose }
 *   | { command: 'start' | 'test', purpose: import('./plan.mjs').Purpose, rest: string[] }
 *   | { command: 'run', purpose: import('./plan.mjs').Purpose, program: string, rest: string[] }
 *   | { command: 'help' }} Command
 */

/**
 * @param {string[]} args without node and script
 * @returns {Command}
 * @throws {SetupError} naming what is wrong
 */
export function parseArguments(args) {
  const [command, ...rest] = args;
  switch (command) {
    case 'start':
    case 'test':
      return { command, purpose: command, rest };
    case 'setup': {
      const { purpose, rest: others } = takePurpose(rest, 'test');
      if (others.length > 0) throw new SetupError(`setup does not know \`${others[0]}\`.\n\n${USAGE}`);
      return { command, purpose };
    }
    case 'run': {
      const { purpose, rest: others } = takePurpose(rest, 'start');
      const [program, ...programArgs] = others;
      if (program === undefined) throw new SetupError(`run needs a command to run.\n\n${USAGE}`);
      return { command, purpose, program, rest: programArgs };
    }
    case 'help':
    case '--help':
    case '-h':
      return { command: 'help' };
    case undefined:
      throw new SetupError(`Which command?\n\n${USAGE}`);
    default:
      throw new SetupError(`There is no command \`${command}\`.\n\n${USAGE}`);
  }
}

/**
 * @param {string[]} args
 * @param {import('./plan.mjs').Purpose} fallback
 * @returns {{ purpose: import('./plan.mjs').Purpose, rest: string[] }}
 */
function takePurpose(args, fallback) {
  if (args[0] !== '--for') return { purpose: fallback, rest: args };
  const value = args[1];
  if (value !== 'base' && value !== 'start' && value !== 'test') {
    throw new SetupError(`--for takes base, start or test, not \`${value ?? ''}\`.\n\n${USAGE}`);
  }
  return { purpose: value, rest: args.slice(2) };
}
