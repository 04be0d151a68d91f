import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import { silentLogger } from './logging.ts';
import { TlsFiles } from './tls-files.ts';

const HOUR_MS = 3_600_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plenary-tls-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

it('[OP3] a certificate that nobody renews is said once before it ends, and once when it has ended', async () => {
  // Issued for two days.
  const files = createAuthority(folder, 'authority').issue('node');
  vi.useFakeTimers();
  const logger = silentLogger();
  const [warn, error] = [vi.spyOn(logger, 'warn'), vi.spyOn(logger, 'error')];
  const tls = new TlsFiles(files, logger);
  const server = createServer(tls.read());
  tls.follow(server);
  const pass = async (hours: number): Promise<void> => {
    vi.setSystemTime(Date.now() + hours * HOUR_MS);
    await vi.advanceTimersByTimeAsync(10_000);
  };
  await pass(40);
  expect(warn).not.toHaveBeenCalled();
  await pass(5);
  expect(warn).toHaveBeenCalledOnce();
  expect(error).not.toHaveBeenCalled();
  await pass(4);
  expect(warn).toHaveBeenCalledOnce();
  expect(error).toHaveBeenCalledOnce();
  expect(error).toHaveBeenCalledWith(
    expect.objectContaining({ certFile: files.certFile }),
    'the certificate has ended: whoever connects anew refuses it',
  );
  tls.stop();
});
