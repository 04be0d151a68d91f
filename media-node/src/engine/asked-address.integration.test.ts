/** Several addresses of one machine, in a network namespace that ends with its only process. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../testing/ask-each-address.ts', import.meta.url));
const [FIRST, SECOND, ELSEWHERE] = ['198.18.0.1', '198.18.0.2', '192.0.2.1'];
const isPossible =
  process.platform === 'linux' &&
  spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status === 0;

/** A socket on all interfaces would answer from the first address, whichever address was asked. */
async function answering(...told: string[]): Promise<readonly string[]> {
  const script = `ip link set lo up; ip address add ${FIRST}/32 dev lo; ip address add ${SECOND}/32 dev lo; exec "$@"`;
  const program = [process.execPath, PROGRAM, FIRST, ...told];
  const { stdout } = await promisify(execFile)('unshare', ['--net', 'sh', '-ec', script, 'sh', ...program]);
  return stdout.trim().split('\n');
}

describe.runIf(isPossible)('a node that listens on every interface', () => {
  test('[AD5] answers from the address that a packet was sent to, if it announces that one', async () => {
    expect(await answering(SECOND)).toEqual([SECOND]);
  });

  test('[AD5] [AD7] answers from each of its addresses, if it also announces one that is not its own', async () => {
    expect(await answering(ELSEWHERE, SECOND, FIRST)).toEqual([SECOND, FIRST]);
  });
});
