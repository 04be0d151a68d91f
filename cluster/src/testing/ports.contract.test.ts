import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort } from './ports.ts';

const PORTS = 10;
const ASKER = `
  import { freePort } from ${JSON.stringify(new URL('./ports.ts', import.meta.url).href)};
  const ports = [];
  while (ports.length < ${PORTS}) ports.push(await freePort());
  process.stdout.write(JSON.stringify(ports));
  process.stdin.resume();
`;

it('processes that ask for ports at once get different ones, and none that the system deals out itself', async () => {
  const askers = [1, 2, 3].map(() =>
    spawn(process.execPath, ['--input-type=module', '--eval', ASKER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  try {
    const answers = await Promise.all(askers.map(async ({ stdout }) => String(await once(stdout, 'data'))));
    const ports = answers.flatMap((answer) => JSON.parse(answer) as number[]);
    expect(new Set(ports).size).toBe(askers.length * PORTS);
    expect(Math.max(...ports)).toBeLessThan(10_000);
  } finally {
    for (const asker of askers) asker.kill('SIGKILL');
  }
});

it('passes over a port that somebody listens on, and comes back to it', async () => {
  const first = await freePort();
  const server = createServer().listen(first, '127.0.0.1');
  await once(server, 'listening');
  const whileTaken = await onceRound();
  expect(whileTaken).not.toContain(first);
  server.close();
  await once(server, 'close');
  expect(await onceRound()).toContain(first);
});

/** More than a process has to itself. */
async function onceRound(): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < 120) ports.push(await freePort());
  return ports;
}
