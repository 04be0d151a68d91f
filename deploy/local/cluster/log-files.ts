import { createWriteStream, mkdirSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';

/** Writes each process's full log to a file of its own, which starts empty with the cluster. */
export class LogFiles {
  readonly #folder: string;
  readonly #files = new Map<string, WriteStream>();

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'logs');
    mkdirSync(this.#folder, { recursive: true });
  }

  /** Appends a line to the process's file. A full disk must not end the cluster, so only the first failure is reported. */
  write(id: string, line: string): void {
    let file = this.#files.get(id);
    if (file === undefined) {
      file = createWriteStream(join(this.#folder, `${id}.log`));
      file.once('error', (error) =>
        console.error(`The log file of ${id} cannot be written: ${error.message}`),
      );
      this.#files.set(id, file);
    }
    file.write(`${line}\n`);
  }
}
