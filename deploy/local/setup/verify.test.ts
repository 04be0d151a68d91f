import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { K6_MODULES, NODE_ARCHIVES, UWS_BINARIES } from './checksums.mjs';
import { K6_VERSION, NODE_VERSION } from './versions.mjs';
import { SetupError, TamperedError } from './errors.mjs';
import {
  explainIntegrity,
  fetchOverHttps,
  requireHttps,
  sha256Of,
  verifiedSourceOptions,
  verifyDebianFiles,
  verifyFile,
  verifySum,
} from './verify.mjs';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plenary-verify-test-'));
  file = join(folder, 'node.tgz');
  writeFileSync(file, 'hello');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const HELLO = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
const OTHER = 'a'.repeat(64);

describe('[SU1] what is downloaded is used only where its hash is the one we know', () => {
  it('takes a file with the right hash', () => {
    expect(sha256Of(file)).toBe(HELLO);
    verifyFile(file, HELLO);
    expect(existsSync(file)).toBe(true);
  });

  it('refuses and removes a file with another hash, and names both', () => {
    expect(() => verifyFile(file, OTHER)).toThrow(
      new RegExp(`node.tgz is not what it should be.*${HELLO}.*${OTHER}`),
    );
    expect(existsSync(file)).toBe(false);
  });

  it('refuses a file that has no figure, and says where one belongs', () => {
    expect(() => verifyFile(file, undefined)).toThrow(/checksums\.mjs has no figure for it/);
    expect(existsSync(file)).toBe(false);
  });

  it('refuses a module of another hash', () => {
    expect(() => verifySum('k6', 'hash', 'h1:x', 'h1:y')).toThrow(/k6 is not what it should be/);
    verifySum('k6', 'hash', 'h1:x', 'h1:x');
  });

  it('[SU9] holds Debian files of versions we know to their hash, and names later ones', () => {
    expect(verifyDebianFiles([file], { 'node.tgz': HELLO })).toEqual([]);
    expect(verifyDebianFiles([file], {})).toEqual(['node.tgz']);
    expect(() => verifyDebianFiles([file], { 'node.tgz': OTHER })).toThrow(/not what it should be/);
  });

  it('says in words what npm refuses, and leaves other failures as they are', () => {
    const refused = explainIntegrity(
      new SetupError('`npm ci` exited with 1.\nnpm error code EINTEGRITY'),
      'A package',
    );
    expect(refused).toBeInstanceOf(TamperedError);
    expect(String(refused)).toMatch(/A package is not what it should be[^]*report it[^]*EINTEGRITY/);
    const other = new SetupError('npm error code ENOTFOUND');
    expect(explainIntegrity(other, 'A package')).toBe(other);
  });

  it('stops the setup, also where it could do without the file', () => {
    expect(() => verifyFile(file, OTHER)).toThrow(TamperedError);
  });

  it('has figures for the versions that the setup takes', () => {
    expect(Object.keys(NODE_ARCHIVES[NODE_VERSION] ?? {})).toEqual(['linux-x64', 'linux-arm64']);
    expect(K6_MODULES[K6_VERSION]).toMatch(/^h1:/);
    expect(Object.keys(UWS_BINARIES)).toEqual(['20.57.0']);
  });
});

describe('[SU2] nothing switches verification off', () => {
  it.each([
    ['[trusted=yes] ', ''],
    [
      '[arch=amd64 trusted=yes allow-insecure=yes check-valid-until=no signed-by=/k.gpg] ',
      '[arch=amd64 signed-by=/k.gpg] ',
    ],
    ['[signed-by=/k.gpg]', '[signed-by=/k.gpg] '],
    ['', ''],
  ])('of an apt source %j stays %j', (options, kept) => {
    expect(verifiedSourceOptions(options)).toBe(kept);
  });

  it.each(['http://mirror.example/x', 'ftp://mirror.example', 'mirror.example', ''])(
    '%j is no https',
    (address) => {
      expect(() => requireHttps(address, 'The worker')).toThrow(/over https only/);
    },
  );

  it('takes https', () => {
    requireHttps('https://mirror.example/x', 'The worker');
  });
});

describe('[SU7] what is fetched over https', () => {
  const answers: Readonly<Record<string, readonly [status: number, location?: string]>> = {
    'https://a.example/plain': [302, 'http://a.example/file'],
    'https://a.example/elsewhere': [302, 'https://b.example/file'],
    'https://a.example/beside': [307, '/file'],
    'https://a.example/round': [301, 'https://a.example/round'],
    'https://a.example/other': [302, 'file:///etc/passwd'],
    'https://a.example/nonsense': [302, 'https://'],
  };
  const asked: string[] = [];
  const ask = (address: string): Promise<Response> => {
    asked.push(address);
    const [status, location] = answers[address] ?? [200];
    return Promise.resolve(
      new Response(null, { status, headers: location === undefined ? {} : { location } }),
    );
  };

  it.each(['plain', 'other', 'nonsense', 'round'])('is not followed where it leads by %s', async (name) => {
    asked.length = 0;
    await expect(fetchOverHttps(`https://a.example/${name}`, 'It', {}, ask)).rejects.toThrow(SetupError);
    expect(asked.every((address) => address === `https://a.example/${name}`)).toBe(true);
  });

  it.each([
    ['elsewhere', 'https://b.example/file'],
    ['beside', 'https://a.example/file'],
  ])('is followed by %s', async (name, last) => {
    asked.length = 0;
    expect((await fetchOverHttps(`https://a.example/${name}`, 'It', {}, ask)).status).toBe(200);
    expect(asked).toEqual([`https://a.example/${name}`, last]);
  });
});
