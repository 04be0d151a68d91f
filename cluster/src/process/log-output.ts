import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { guardCallback, every } from './guarded-callbacks.ts';

/** The largest number of bytes that wait for a slow reader: beyond it the oldest lines are lost. */
const MAX_WAITING_BYTES = 1_048_576;
/** How often the output retries a slow reader, in milliseconds. */
const TRY_EVERY_MS = 20;
/**
 * How long a slow reader of the last lines may delay the end of a process, in milliseconds (SPEC LC19). A stop has
 * five seconds.
 */
const LAST_LINES_WITHIN_MS = 500;
const STANDARD_OUTPUT = 1;
const LINE_END = 0x0a;

/**
 * Characters that a terminal or a reader would interpret or hide: C1 controls, line separators, bidirectional
 * overrides, and invisible characters. JSON escapes the other controls.
 */
const NOT_PLAIN = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Writes as many bytes as are accepted at once.
 * @returns the number of written bytes
 * @throws with the code `EAGAIN` if the reader accepts no more for now; another error if nothing can be written
 */
export type Write = (data: Uint8Array) => number;

/**
 * The destination of log lines. For a slow reader it keeps the newest lines, because the last ones say why a process
 * ended. A full disk, or a reader that is gone or does not read, costs lines: it neither ends the process nor delays
 * it (SPEC LC7, LC17, LC18).
 */
export class LogOutput {
  readonly #write: Write;
  #onLost: () => void = () => undefined;
  #onReturn: (lost: number) => void = () => undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** The number of written bytes of the first waiting line. */
  #begun = 0;
  /** Whether the last written byte is inside a line. */
  #isTorn = false;
  #isDraining = false;
  #timer: NodeJS.Timeout | undefined;
  /** The number of lost lines that the log does not report yet. */
  #lost = 0;
  /** The number of lost lines that the first waiting line reports. */
  #telling = 0;
  #lostUntold = 0;

  constructor(write: Write) {
    this.#write = write;
  }

  /** Takes pino's JSON lines, and makes each plain text with the same meaning (SPEC LC8). */
  write(line: string): void {
    const plain = Buffer.from(line.replace(NOT_PLAIN, escaped));
    const isFirst = this.#waiting.length === 0;
    this.#waiting.push(plain);
    this.#waitingBytes += plain.byteLength;
    // Behind a slow reader the timer retries: an attempt for each line of a flood would cost more than the lines.
    if (isFirst) this.#drain();
    // The rest of a begun line is always written, since otherwise it would swallow the next line.
    while (this.#waitingBytes > MAX_WAITING_BYTES)
      this.#lose(this.#begun > 0 && this.#waiting.length > 1 ? 1 : 0);
    this.#tryLater();
  }

  /** Calls back for each lost line, including those lost before this call. */
  onLost(listener: () => void): void {
    this.#onLost = () => {
      for (; this.#lostUntold > 0; this.#lostUntold -= 1) listener();
    };
    this.#onLost();
  }

  /** Calls back when a line is written again after lost ones. */
  onReturn(listener: (lost: number) => void): void {
    this.#onReturn = listener;
  }

  /** Waits for a slow reader, at most `withinMs`. Only for the end of a process: nothing else runs meanwhile. */
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

  /** Writes the first waiting line. @returns whether it is written completely */
  #putFirst(): boolean {
    const [line] = this.#waiting;
    if (line === undefined) return false;
    try {
      // A line that a full disk cut off must not swallow this one.
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

  /** @throws as `Write` does, also if nothing is written without a reason */
  #put(data: Uint8Array): number {
    const written = this.#write(data);
    if (written === 0) throw new Error('Nothing can be written.');
    return written;
  }

  /** Inserts the line with the number of lost lines at their position. */
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
 * Opens standard output. From now on an unwritable standard error harms the process no more than an unwritable
 * standard output.
 * @param standard - the streams and the end of the process; a port for tests
 * @param lastLinesWithinMs - how long a slow reader of the last lines may delay the end of the process
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

/** A non-blocking descriptor of standard output, if that is a pipe or a socket. */
function openWithoutWaiting(standard: Pick<NodeJS.Process, 'stdout'>): number {
  const kind = kindOf(STANDARD_OUTPUT);
  if (kind === 'file') return STANDARD_OUTPUT;
  if (kind === 'pipe') {
    try {
      // A separate descriptor, since every process that shares the other one can make it blocking: a shell, or a
      // process that ends.
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      // There is no such file system, or the pipe belongs to another user.
    }
  }
  // Node makes the descriptor non-blocking when it creates its stream; two writers would tear lines apart.
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
