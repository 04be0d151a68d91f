import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { askServer } from './redis-process.ts';
import { waitFor } from './wait-for.ts';

const STARTER = `
  import { startRedisServer } from ${JSON.stringify(new URL('./redis-server.ts', import.meta.url).href)};
  import { askServer } from ${JSON.stringify(new URL('./redis-process.ts', import.meta.url).href)};
  const { url } = await startRedisServer();
  const [, folder] = await askServer(url, (redis) => redis.config('GET', 'dir'));
  process.stdout.write(url + ' ' + folder);
`;

it('a server of a test that is killed ends, and its folder goes', async () => {
  const test = spawn(process.execPath, ['--input-type=module', '--eval', STARTER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = String(await once(test.stdout, 'data'));
  const [url = '', folder = ''] = output.split(' ');
  expect(await askServer(url, (redis) => redis.ping())).toBe('PONG');
  expect(existsSync(folder)).toBe(true);
  test.kill('SIGKILL');
  await waitFor('the server to end', async () =>
    askServer(url, (redis) => redis.ping()).then(
      () => false,
      () => true,
    ),
  );
  await waitFor('the folder to go', () => !existsSync(folder));
});
