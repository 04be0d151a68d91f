import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where Debian's libfaketime is, in a folder for each kind of machine. */
const LIBRARIES = '/usr/lib';
const LIBRARY = 'faketime/libfaketimeMT.so.1';

/**
 * A clock of their own for the processes of one host, by libfaketime: the time of day jumps, as it does when somebody sets it
 * or a time server is wrong; what counts on from the start of the machine goes on as before.
 */
export class HostClock {
  /** To be given to each process of the host. */
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: string;

  private constructor(folder: string, library: string) {
    this.#folder = folder;
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(folder, 'offset'),
      // In seconds: how late a jump is noticed.
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** @throws Error saying how to get libfaketime */
  static async create(): Promise<HostClock> {
    const library = readdirSync(LIBRARIES)
      .map((folder) => join(LIBRARIES, folder, LIBRARY))
      .find((path) => existsSync(path));
    if (library === undefined)
      throw new Error('There is no libfaketime on this machine. Run `npm run setup` to install it.');
    const clock = new HostClock(await mkdtemp(join(tmpdir(), 'plenary-clock-')), library);
    await clock.jump(0);
    return clock;
  }

  /** Sets the clock to so many seconds after the true time; negative: before it. */
  async jump(offsetSeconds: number): Promise<void> {
    // Never half written: it is read by others at any time.
    const next = join(this.#folder, 'next');
    await writeFile(next, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
    await rename(next, join(this.#folder, 'offset'));
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
