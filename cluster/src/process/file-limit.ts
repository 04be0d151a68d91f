import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { devNull } from 'node:os';
import { every, inBackground } from './guarded-callbacks.ts';
import { codeOf } from './tls-fault.ts';

/** How often the watch tries to open a file, in milliseconds. */
const TRY_EVERY_MS = 1_000;

/** The number of successful tries in a row after which a new exhaustion is reported again. */
const WELL_TRIES = 60;

/**
 * Whether an error means that the process, or the system, may open no more files. Clients repeat such an error in
 * their own messages.
 */
export const lacksFiles = (error: Error): boolean =>
  /\b(?:EMFILE|ENFILE)\b/.test(`${codeOf(error)} ${error.message}`);

/** The settings that raise the limit, for messages. */
export const RAISE_FILE_LIMIT = 'ulimit -n, LimitNOFILE=, --ulimit nofile=';

/**
 * The number of files that a process may have open, as the kernel gives it; `undefined` if it does not, as outside
 * Linux.
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
 * Reports once each time that the process has as many files open as it may. Nobody can connect then, and neither Node
 * nor uWebSockets.js reports connections that they could not accept (SPEC AD15).
 */
export class FileWatch {
  readonly #timer: NodeJS.Timeout;
  /** The number of successful tries since the last report. */
  #wellTries = WELL_TRIES;

  /** @param onExhausted - called once, and again if it happens again after a minute without it */
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
