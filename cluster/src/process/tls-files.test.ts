import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import { silentLogger } from './logging.ts';
import { AuthorityFile, TlsFiles } from './tls-files.ts';

const HOUR_MS = 3_600_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plenary-tls-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

it('[OP13] a certificate that nobody renews is logged once before it ends, and once when it has ended', async () => {
  // The certificate is valid for two days.
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
    'the certificate has ended: new connections are refused',
  );
  tls.stop();
});

const authorities = mkdtempSync(join(tmpdir(), 'plenary-authorities-'));
afterAll(() => rmSync(authorities, { recursive: true }));
const authority = createAuthority(authorities, 'ours');

describe('[CF23] a file of authorities', () => {
  it.each([
    ['nothing', ''],
    ['a host name', 'edge-gra-1\n'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n'],
    ['a broken certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
  ])('that holds %s is refused at the start', (name, text) => {
    const path = join(authorities, `${name.replaceAll(' ', '-')}.pem`);
    writeFileSync(path, text);
    expect(() => new AuthorityFile(path).current()).toThrow(`PLENARY_TLS_CA_FILE ${path}: cannot be used`);
  });

  it('that becomes invalid later keeps its last valid content', () => {
    const file = new AuthorityFile(authority.caFile);
    const before = file.current();
    expect(before).toContain('BEGIN CERTIFICATE');
    writeFileSync(authority.caFile, 'not yet written\n');
    expect(file.current()).toBe(before);
    writeFileSync(authority.caFile, `${before}\n${before}`);
    expect(file.current()).toBe(`${before}\n${before}`);
  });
});
