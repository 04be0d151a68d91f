#!/usr/bin/env node
// @ts-check
/**
 * The only entry to the repository's tools: prepares the machine and then runs a program inside the
 * toolchain. It is plain JavaScript without dependencies, for whatever Node is installed (18 or newer): no package is installed yet, and
 * without internet none can be.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { USAGE, parseArguments } from './setup/arguments.mjs';
import { childEnvironment } from './setup/environment.mjs';
import { SetupError } from './setup/errors.mjs';
import { setUp } from './setup/index.mjs';
import { nodeBinary, root } from './setup/paths.mjs';
import { readText, stopRunningCommands } from './setup/process.mjs';

const FORWARDED = /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT']);

/** How often we look whether the process that started us (npm) is still there. */
const PARENT_POLL_MS = 1000;

/**
 * Runs a program in the foreground with our terminal and signals, and exits as it exits.
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function runInForeground(program, args, env) {
  const child = spawn(program, args, { stdio: 'inherit', env });
  for (const signal of FORWARDED) {
    process.removeAllListeners(signal);
    process.on(signal, () => {
      // From a terminal, Ctrl-C reaches the child too; a second SIGINT could mean "at once" to it.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  endWithParent(() => child.kill('SIGTERM'));
  child.on('error', (error) => {
    console.error(`${program} cannot be run: ${error.message}`);
    process.exit(127);
  });
  child.on('exit', (code, signal) =>
    process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
  );
}

/**
 * npm killed outright forwards nothing; without this a cluster would live on with nobody to stop it.
 * @param {() => void} end
 */
function endWithParent(end) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const before = ancestors();
  setInterval(() => {
    if (ancestors() !== before) end();
  }, PARENT_POLL_MS).unref();
}

/** Our parent and its parent: npm runs a script through a shell, which would outlive it. */
function ancestors() {
  const stat = readText(`/proc/${process.ppid}/stat`) ?? '';
  return `${process.ppid} ${/\) \S (\d+) /.exec(stat)?.[1] ?? ''}`;
}

async function main() {
  const command = parseArguments(process.argv.slice(2));
  if (command.command === 'help') {
    console.log(USAGE);
    return;
  }
  if (
    command.command === 'start' &&
    command.rest.some((argument) => argument === '--help' || argument === '-h')
  ) {
    // Printing the options must not set up the machine; only our Node is needed for it.
    await setUp('base', { verbose: false });
  } else {
    await setUp(command.purpose, { verbose: command.command === 'setup' });
  }
  const env = childEnvironment({ worker: command.purpose !== 'base' });
  switch (command.command) {
    case 'setup':
      return;
    case 'start':
    case 'test':
      // The cluster ends on its own when this process is gone, however it ends.
      env.LOCAL_CLUSTER_PARENT = String(process.pid);
      runInForeground(
        nodeBinary,
        [join(root, 'deploy/local', `${command.command}.ts`), ...command.rest],
        env,
      );
      return;
    case 'run':
      runInForeground(command.program, command.rest, env);
  }
}

for (const signal of FORWARDED) {
  process.on(signal, () => {
    stopRunningCommands();
    console.error(
      `\nSetup stopped by ${signal}. The next run continues with the step that was not finished.`,
    );
    process.exit(128 + constants.signals[signal]);
  });
}

main().catch((error) => {
  // An error that a person can act on is printed without a trace; any other error is a bug and keeps its trace.
  console.error(error instanceof SetupError ? `\n${error.message}` : error);
  process.exit(1);
});
