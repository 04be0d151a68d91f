import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../testing/certificates.ts';
import { AuthorityFile } from './tls-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'plenary-authorities-'));
afterAll(() => rmSync(folder, { recursive: true }));
const authority = createAuthority(folder, 'ours');

describe('[CF10] a file of authorities', () => {
  it.each([
    ['nothing', ''],
    ['a host name', 'edge-gra-1\n'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n'],
    ['a broken certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
  ])('that holds %s is refused at the start', (name, text) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.pem`);
    writeFileSync(path, text);
    expect(() => new AuthorityFile(path).current()).toThrow(`PLENARY_TLS_CA_FILE ${path}: cannot be used`);
  });

  it('that is spoiled later goes on as it was', () => {
    const file = new AuthorityFile(authority.caFile);
    const before = file.current();
    expect(before).toContain('BEGIN CERTIFICATE');
    writeFileSync(authority.caFile, 'not yet written\n');
    expect(file.current()).toBe(before);
    writeFileSync(authority.caFile, `${before}\n${before}`);
    expect(file.current()).toBe(`${before}\n${before}`);
  });
});
