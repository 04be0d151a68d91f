import { fstatSync, writeSync } from 'node:fs';
import { entry } from './entry.ts';

/** So much may wait for a reader that is slow, in characters: what comes on top of it is lost. */
const MAX_WAITING = 1_048_576;
const STANDARD_OUTPUT = 1;

/**
 * What a terminal or a reader would obey or not show: C1 controls, line separators, bidirectional overrides, and invisible
 * characters. JSON escapes the other controls by itself.
 */
const NOT_PLAIN = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** What is written to, as far as it matters here. */
export interface Sink {
  /** @returns whether the line was taken */
  write(line: string): boolean;
}

/**
 * Where the lines of a log go. One that cannot be written (a disk that is full, a reader that is gone or does not read)
 * costs lines and nothing else: it neither ends the process nor holds it up (SPEC LC7).
 */
export class LogOutput {
  readonly #sink: Sink;
  #onLost: () => void = () => undefined;
  #onReturn: (lost: number) => void = () => undefined;
  /** Lines since the last one that was taken. */
  #lost = 0;
  #lostUntold = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** pino hands its lines to this: JSON, of which each becomes plain text that means the same (SPEC LC8). */
  write(line: string): void {
    if (!this.#sink.write(line.replace(NOT_PLAIN, escaped))) {
      this.#lost += 1;
      this.#lostUntold += 1;
      this.#onLost();
      return;
    }
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#onReturn(lost);
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
}

const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');

/**
 * Standard output. From now on a standard error that cannot be written harms the process no more than this does.
 * @param standard - the streams of the process; a port for tests
 */
export function openStandardOutput(standard: Pick<NodeJS.Process, 'stdout' | 'stderr'> = process): LogOutput {
  standard.stderr.on(
    'error',
    entry('signal', () => undefined),
  );
  return new LogOutput(isFile(STANDARD_OUTPUT) ? fileSink(STANDARD_OUTPUT) : streamSink(standard.stdout));
}

function isFile(descriptor: number): boolean {
  try {
    const kind = fstatSync(descriptor);
    return !kind.isFIFO() && !kind.isSocket();
  } catch {
    return true;
  }
}

/** Node's own stream of a file would never write again after its first fault; a disk may have room again. */
export function fileSink(
  descriptor: number,
  write: (descriptor: number, data: Uint8Array) => number = writeSync,
): Sink {
  // A line that was cut off by a full disk must not swallow the next one.
  let isTorn = false;
  return {
    write: (line) => {
      let rest = Buffer.from(isTorn ? `\n${line}` : line);
      try {
        while (rest.length > 0) {
          const written = write(descriptor, rest);
          isTorn = written < rest.length;
          rest = rest.subarray(written);
        }
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** A pipe or a socket: Node writes at once what fits in, and keeps the rest without waiting for the reader. */
function streamSink(stream: NodeJS.WriteStream): Sink {
  stream.on(
    'error',
    entry('signal', () => undefined),
  );
  return {
    write: (line) => {
      if (!stream.writable || stream.writableLength + line.length > MAX_WAITING) return false;
      stream.write(line);
      return true;
    },
  };
}
