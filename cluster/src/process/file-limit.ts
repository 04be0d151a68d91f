import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { devNull } from 'node:os';
import { every, inBackground } from './guarded-callbacks.ts';
import { codeOf } from './tls-fault.ts';

/** How often it is tried whether a file can be opened, in milliseconds. */
const TRY_EVERY_MS = 1_000;

/** After so many tries in a row that went well it is said again, should it happen again. */
const WELL_TRIES = 60;

/** Whether something failed since the process, or the system, may have no more files open. Clients repeat it in their own messages. */
export const lacksFiles = (error: Error): boolean =>
  /\b(?:EMFILE|ENFILE)\b/.test(`${codeOf(error)} ${error.message}`);

/** What raises the limit, for messages. */
export const RAISE_FILE_LIMIT = 'ulimit -n, LimitNOFILE=, --ulimit nofile=';

/**
 * How many files a process may have open, by what the kernel says of it; `undefined` where it does not say, as outside Linux.
 * @param limits - text of `/proc/self/limits`
 */
export function fileLimitOf(limits: string | undefined = readLimits()): number | undefined {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '') ?? [];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Says once each time that the process has as many files open as it may: nobody can connect then, and neither Node nor uWebSockets.js says a
 * word of connections that they could not take (SPEC AD15).
 */
export class FileWatch {
  readonly #timer: NodeJS.Timeout;
  /** Tries that went well since it was said. */
  #wellTries = WELL_TRIES;

  /** @param onExhausted - called once, and again when it comes back a minute after it was over */
  constructor(onExhausted: (limit: number | undefined) => void, tryToOpen = openOne) {
    this.#timer = every(TRY_EVERY_MS, () =>
      inBackground(async () => {
        if (!(await isExhausted(tryToOpen))) {
          this.#wellTries += 1;
          return;
        }
        const isNew = this.#wellTries >= WELL_TRIES;
        this.#wellTries = 0;
        if (isNew) onExhausted(fileLimitOf());
      }),
    );
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function isExhausted(tryToOpen: () => Promise<void>): Promise<boolean> {
  try {
    await tryToOpen();
    return false;
  } catch (error) {
    return error instanceof Error && lacksFiles(error);
  }
}

async function openOne(): Promise<void> {
  await (await open(devNull, 'r')).close();
}
