import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { guardCallback, every } from './guarded-callbacks.ts';

/** So much may wait for a reader that is slow, in bytes: beyond it the oldest lines are lost. */
const MAX_WAITING_BYTES = 1_048_576;
/** How often it is tried whether a slow reader takes more, in milliseconds. */
const TRY_EVERY_MS = 20;
/** For how long the end of a process is held up by a slow reader of its last lines, in milliseconds (SPEC LC19). A stop has five seconds. */
const LAST_LINES_WITHIN_MS = 500;
const STANDARD_OUTPUT = 1;
const LINE_END = 0x0a;

/**
 * What a terminal or a reader would obey or not show: C1 controls, line separators, bidirectional overrides, and invisible
 * characters. JSON escapes the other controls by itself.
 */
const NOT_PLAIN = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Writes what is taken at once.
 * @returns how many bytes that was
 * @throws with the code `EAGAIN` when the reader takes no more for now; else when nothing can be written
 */
export type Write = (data: Uint8Array) => number;

/**
 * Where the lines of a log go. Lines wait for a slow reader, the newest of them: the last ones say why a process ended. What
 * cannot be written (a disk that is full, a reader that is gone or does not read) costs lines and nothing else: it neither
 * ends the process nor holds it up (SPEC LC7, LC17, LC18).
 */
export class LogOutput {
  readonly #write: Write;
  #onLost: () => void = () => undefined;
  #onReturn: (lost: number) => void = () => undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** How much of the first waiting line is written. */
  #begun = 0;
  /** The last byte that was written ended no line. */
  #isTorn = false;
  #isDraining = false;
  #timer: NodeJS.Timeout | undefined;
  /** Lines that are lost and not yet told of in the log. */
  #lost = 0;
  /** How many lost lines the first waiting line tells of. */
  #telling = 0;
  #lostUntold = 0;

  constructor(write: Write) {
    this.#write = write;
  }

  /** pino hands its lines to this: JSON, of which each becomes plain text that means the same (SPEC LC8). */
  write(line: string): void {
    const plain = Buffer.from(line.replace(NOT_PLAIN, escaped));
    const isFirst = this.#waiting.length === 0;
    this.#waiting.push(plain);
    this.#waitingBytes += plain.byteLength;
    // Behind a slow reader the timer tries: an attempt for each line of a flood would cost more than the lines.
    if (isFirst) this.#drain();
    // The rest of a line that was begun is written all the same, since else it would swallow the next one.
    while (this.#waitingBytes > MAX_WAITING_BYTES)
      this.#lose(this.#begun > 0 && this.#waiting.length > 1 ? 1 : 0);
    this.#tryLater();
  }

  /** Calls back for each line that was lost, and for those that were before. */
  onLost(listener: () => void): void {
    this.#onLost = () => {
      for (; this.#lostUntold > 0; this.#lostUntold -= 1) listener();
    };
    this.#onLost();
  }

  /** Calls back when a line is taken again after so many were lost. */
  onReturn(listener: (lost: number) => void): void {
    this.#onReturn = listener;
  }

  /** Waits for a slow reader, `withinMs` at most. For the end of a process alone: nothing else runs meanwhile. */
  finish(withinMs: number): void {
    const untilMs = performance.now() + withinMs;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (this.#drain(); this.#waiting.length > 0 && performance.now() < untilMs; this.#drain()) {
      Atomics.wait(pause, 0, 0, TRY_EVERY_MS);
    }
  }

  #tryLater(): void {
    if (this.#waiting.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= every(TRY_EVERY_MS, () => {
      this.#drain();
      this.#tryLater();
    }).unref();
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      while (this.#waiting.length > 0 && this.#putFirst()) if (this.#lost > 0) this.#tell();
    } finally {
      this.#isDraining = false;
    }
  }

  /** Writes the first waiting line. @returns whether it is written */
  #putFirst(): boolean {
    const [line] = this.#waiting;
    if (line === undefined) return false;
    try {
      // A line that was cut off by a full disk must not swallow this one.
      if (this.#begun === 0 && this.#isTorn && this.#put(LINE_END_ONLY) > 0) this.#isTorn = false;
      while (this.#begun < line.byteLength) {
        this.#begun += this.#put(line.subarray(this.#begun));
        this.#isTorn = line[this.#begun - 1] !== LINE_END;
      }
    } catch (fault) {
      if (!isFull(fault)) while (this.#waiting.length > 0) this.#lose(0);
      return false;
    }
    this.#removeAt(0);
    return true;
  }

  /** @throws as `Write` does, also where nothing is written without a reason */
  #put(data: Uint8Array): number {
    const written = this.#write(data);
    if (written === 0) throw new Error('Nothing can be written.');
    return written;
  }

  /** Puts the line that says how many are missing where they are. */
  #tell(): void {
    const later = this.#waiting;
    const lost = this.#lost;
    this.#waiting = [];
    this.#lost = 0;
    this.#onReturn(lost);
    this.#telling = this.#waiting.length > 0 ? lost : 0;
    this.#waiting.push(...later);
  }

  #lose(index: number): void {
    this.#lost += 1;
    this.#lostUntold += 1;
    if (index === 0) this.#lost += this.#telling;
    this.#removeAt(index);
    this.#onLost();
  }

  #removeAt(index: number): void {
    const [line] = this.#waiting.splice(index, 1);
    this.#waitingBytes -= line?.byteLength ?? 0;
    if (index > 0) return;
    this.#begun = 0;
    this.#telling = 0;
  }
}

const LINE_END_ONLY = Uint8Array.of(LINE_END);

const isFull = (fault: unknown): boolean =>
  fault instanceof Error && 'code' in fault && fault.code === 'EAGAIN';

const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');

/**
 * Standard output. From now on a standard error that cannot be written harms the process no more than this does.
 * @param standard - the streams and the end of the process; a port for tests
 * @param lastLinesWithinMs - how long a slow reader of the last lines may hold the end of the process up
 */
export function openStandardOutput(
  standard: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'once'> = process,
  lastLinesWithinMs = LAST_LINES_WITHIN_MS,
): LogOutput {
  standard.stderr.on(
    'error',
    guardCallback('signal', () => undefined),
  );
  const descriptor = openWithoutWaiting(standard);
  const output = new LogOutput((data) => writeSync(descriptor, data));
  standard.once(
    'exit',
    guardCallback('signal', () => output.finish(lastLinesWithinMs)),
  );
  return output;
}

/** A descriptor of standard output that waits for no reader, where it is a pipe or a socket. */
function openWithoutWaiting(standard: Pick<NodeJS.Process, 'stdout'>): number {
  const kind = kindOf(STANDARD_OUTPUT);
  if (kind === 'file') return STANDARD_OUTPUT;
  if (kind === 'pipe') {
    try {
      // One of its own, since whoever shares the other one decides whether that waits: a shell, or a process that ends.
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      // There is no such file system, or the pipe is another user's.
    }
  }
  // Node sets the descriptor to wait for nobody as soon as it has its stream; written by two, lines would be torn.
  standard.stdout.on(
    'error',
    guardCallback('signal', () => undefined),
  );
  return STANDARD_OUTPUT;
}

function kindOf(descriptor: number): 'pipe' | 'socket' | 'file' {
  try {
    const kind = fstatSync(descriptor);
    if (kind.isFIFO()) return 'pipe';
    return kind.isSocket() ? 'socket' : 'file';
  } catch {
    return 'file';
  }
}
