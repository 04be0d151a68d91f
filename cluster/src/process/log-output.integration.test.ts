/** Tests the last lines of a process whose reader is slow, or whose disk is full. */
import { execFileSync, fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, createReadStream, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { FULL_DISK } from '../testing/full-outputs.ts';

const CHILD = fileURLToPath(new URL('../testing/logging-child.ts', import.meta.url));
/** Long enough that a busy machine does not change what is read in time, in milliseconds. */
const LONG_MS = 60_000;

const report = z.object({ lost: z.number() });
const logLine = z.object({
  msg: z.string(),
  line: z.number().optional(),
  lost: z.number().optional(),
});
type LogLine = z.infer<typeof logLine>;

let ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

/** Starts a child and waits until it has logged everything. @returns the number of lost lines so far */
async function logged(child: ChildProcess): Promise<number> {
  ends.push(() => {
    child.kill('SIGKILL');
  });
  const told: readonly unknown[] = await once(child, 'message');
  return report.parse(told[0]).lost;
}

/** Tells a child to die. @returns its exit code */
async function died(child: ChildProcess): Promise<unknown> {
  const exited = once(child, 'exit');
  child.send('die');
  const ended: readonly unknown[] = await exited;
  return ended[0];
}

async function read(stream: Readable): Promise<LogLine[]> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => logLine.parse(JSON.parse(line)));
}

/** The output of a child that nobody reads yet. */
interface Unread {
  readonly child: ChildProcess;
  /** Reads the output to its end. */
  readonly read: () => Promise<LogLine[]>;
}

const KINDS: Readonly<Record<string, (...parameters: string[]) => Promise<Unread>>> = {
  socket: (...parameters) => {
    const child = fork(CHILD, parameters, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    const { stdout } = child;
    if (stdout === null) throw new Error('The child has no output.');
    return Promise.resolve({ child, read: async () => read(stdout) });
  },
  pipe: async (...parameters) => {
    const folder = await mkdtemp(join(tmpdir(), 'plenary-log-'));
    ends.push(async () => rm(folder, { recursive: true }));
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const child = fork(CHILD, parameters, { stdio: ['ignore', writer, 'inherit', 'ipc'] });
    closeSync(writer);
    return {
      child,
      read: async () => {
        // This descriptor blocks; the other one kept the pipe open until here.
        const stream = createReadStream(path);
        await once(stream, 'open');
        closeSync(reader);
        return read(stream);
      },
    };
  },
};

describe.each(Object.entries(KINDS))('the output of a process that dies, into a %s', (_kind, start) => {
  it('[LC19] contains the last lines if the reader was slow', async () => {
    const { child, read: readAll } = await start('4000', String(LONG_MS));
    expect(await logged(child)).toBe(0);
    const [code, lines] = await Promise.all([died(child), readAll()]);
    expect(code).toBe(3);
    expect(lines.map(({ line }) => line)).toEqual([...Array(4_000).keys(), undefined]);
    expect(lines.at(-1)?.msg).toBe('the last one');
  });

  it('[LC18] keeps the newest lines if too many wait, and says where and how many are missing', async () => {
    const { child, read: readAll } = await start('20000', String(LONG_MS));
    const lost = await logged(child);
    expect(lost).toBeGreaterThan(1_000);
    const [code, lines] = await Promise.all([died(child), readAll()]);
    expect(code).toBe(3);
    expect(lines.at(-1)?.msg).toBe('the last one');
    const numbers = lines.flatMap(({ line }) => line ?? []);
    expect(numbers).toHaveLength(20_000 - lost);
    expect(numbers.at(-1)).toBe(19_999);
    expect(lines.filter((line) => line.lost !== undefined)).toMatchObject([{ lost }]);
  });

  it('[LC19] delays the end no longer than allowed if nobody reads', async () => {
    const { child } = await start('20000');
    await logged(child);
    expect(await died(child)).toBe(3);
  });
});

it('[LC7] a process whose disk is full dies normally, and all its lines count as lost', async () => {
  const full = openSync(FULL_DISK, 'w');
  ends.push(() => closeSync(full));
  const child = fork(CHILD, ['10'], { stdio: ['ignore', full, full, 'ipc'] });
  expect(await logged(child)).toBe(11);
  expect(await died(child)).toBe(3);
});
