import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = join(import.meta.dirname, 'healthcheck.mjs');
const folder = mkdtempSync(join(tmpdir(), 'plenary-health-'));
let status = 200;
const server = createServer((request, response) => {
  response.statusCode = request.url === '/health' ? status : 404;
  response.end();
});
let port = 0;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  writeFileSync(join(folder, 'port'), `${port}\r\n`);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const exitCode = (env: Record<string, string>): Promise<unknown> =>
  new Promise((resolve) => {
    execFile(process.execPath, [program], { env }, (fault) => resolve(fault?.code ?? 0));
  });

describe('the images’ health check', () => {
  it.each([
    ['a port', (own: string) => ({ PLENARY_OPERATOR_PORT: own })],
    ['the port that follows from another', (own: string) => ({ PLENARY_PORT: String(Number(own) - 10_000) })],
    [
      'settings that are empty',
      (own: string) => ({ PLENARY_OPERATOR_PORT: own, PLENARY_OPERATOR_HOST: '', PLENARY_TLS_CERT_FILE: '' }),
    ],
    [
      'space around a value',
      (own: string) => ({ PLENARY_OPERATOR_PORT: ` ${own}\r`, PLENARY_HOST: '127.0.0.1 ' }),
    ],
    ['a file', () => ({ PLENARY_OPERATOR_PORT_FILE: join(folder, 'port'), PLENARY_PORT: '3000' })],
    [
      'what a link says of a service of that name',
      (own: string) => ({
        PLENARY_OPERATOR_PORT: 'tcp://10.0.0.1:1',
        PLENARY_PORT: String(Number(own) - 10_000),
      }),
    ],
  ])('[CF7] reads %s as the process does', async (_what, env) => {
    expect(await exitCode(env(String(port)))).toBe(0);
  });

  it('says that nobody answers, or not well', async () => {
    expect(await exitCode({ PLENARY_OPERATOR_PORT: '1' })).toBe(1);
    status = 500;
    expect(await exitCode({ PLENARY_OPERATOR_PORT: String(port) })).toBe(1);
  });
});
