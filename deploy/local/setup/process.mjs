// @ts-check
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupError } from './errors.mjs';
import { logFolder } from './paths.mjs';

/** Children that run now, so that a signal to the setup ends them too. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Ends every child that the setup has started and that still runs. */
export function stopRunningCommands() {
  for (const child of running) child.kill('SIGTERM');
}

/**
 * @typedef {object} RunOptions
 * @property {string} log name of the log file in `.toolchain/logs`, without ending
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env] the whole environment; the setup's own by default
 * @property {(line: string) => void} [onLine] told each line of output, for progress
 * @property {string} [failure] what it means when the command fails, and what to do about it
 * @property {number} [timeoutMs]
 */

/**
 * Runs a command with its output in the step's log.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 * @returns {Promise<void>}
 * @throws {SetupError} with the last lines of its output when it fails
 */
export async function runLogged(command, args, options) {
  mkdirSync(logFolder, { recursive: true });
  const logFile = join(logFolder, `${options.log}.log`);
  const log = createWriteStream(logFile, { flags: 'a' });
  log.write(`\n$ ${[command, ...args].join(' ')}\n`);
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  });
  running.add(child);
  /** @type {string[]} */
  const lastLines = [];
  let rest = '';
  const take = (/** @type {Buffer} */ chunk) => {
    log.write(chunk);
    const lines = (rest + chunk.toString()).split(/\r?\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      lastLines.push(line);
      if (lastLines.length > 15) lastLines.shift();
      options.onLine?.(line);
    }
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const outcome = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) =>
      resolve(code === 0 ? null : signal ? `was ended by ${signal}` : `exited with ${code}`),
    );
  });
  running.delete(child);
  await new Promise((resolve) => log.end(() => resolve(undefined)));
  if (outcome === null) return;
  if (rest.trim() !== '') lastLines.push(rest);
  throw new SetupError(
    [
      `\`${[command, ...args].join(' ').slice(0, 200)}\` ${outcome}.`,
      ...(options.failure ? [options.failure] : []),
      'Its last lines:',
      ...lastLines.map((line) => `    ${line}`),
      `Full log: ${logFile}`,
    ].join('\n'),
  );
}

/**
 * What a command prints, or null when it cannot be run or fails.
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
export function outputOf(command, args, env) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    env: env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return result.status === 0 ? result.stdout.trim() : null;
}

/**
 * The first program of these names on the PATH, with its full path, or null.
 * `/usr/sbin` is looked at too, since a plain user's PATH leaves it out and Debian puts nginx there.
 * @param {string[]} names
 */
export function findProgram(...names) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const name of names) {
    for (const folder of folders) {
      if (folder === '') continue;
      const candidate = join(folder, name);
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // Not in this folder: the next one is looked at.
      }
    }
  }
  return null;
}

/**
 * A text file's content, or null when there is none.
 * @param {string} path
 */
export function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // The callers ask "is there such a file, and what is in it".
  }
}
