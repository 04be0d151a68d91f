import { describe, expect, it } from 'vitest';
import { inexactDependencies, lockfileFaults } from './lockfile.ts';

const lockfile = (entry: object) =>
  JSON.stringify({ packages: { '': {}, 'node_modules/a': entry, web: { version: '1.0.0' } } });

describe('lockfileFaults', () => {
  it('takes packages with a hash, from nowhere in particular or the public registry', () => {
    expect(lockfileFaults(lockfile({ version: '1.0.0', integrity: 'sha512-x' }))).toEqual([]);
    const entry = { integrity: 'sha512-x', resolved: 'https://registry.npmjs.org/a/-/a-1.0.0.tgz' };
    expect(lockfileFaults(lockfile(entry))).toEqual([]);
  });

  it('refuses a private host and a missing hash', () => {
    const entry = { integrity: 'sha512-x', resolved: 'https://npm.example.internal/a.tgz' };
    expect(lockfileFaults(lockfile(entry))[0]).toContain('comes from https://npm.example.internal/a.tgz');
    expect(lockfileFaults(lockfile({ version: '1.0.0' }))[0]).toContain('no integrity');
  });

  it("takes the author's uWebSockets.js from GitHub, with a hash, and nothing else from there", () => {
    const resolved = 'https://github.com/uNetworking/uWebSockets.js/archive/refs/tags/v20.57.0.tar.gz';
    const of = (path: string, entry: object) =>
      lockfileFaults(JSON.stringify({ packages: { [path]: entry } }));
    expect(of('node_modules/uWebSockets.js', { resolved, integrity: 'sha512-x' })).toEqual([]);
    expect(of('node_modules/uWebSockets.js', { resolved })[0]).toContain('no integrity');
    expect(of('node_modules/a', { resolved, integrity: 'sha512-x' })[0]).toContain('comes from');
    expect(inexactDependencies(JSON.stringify({ dependencies: { 'uWebSockets.js': resolved } }))).toEqual([]);
    expect(inexactDependencies(JSON.stringify({ dependencies: { a: resolved } }))).toHaveLength(1);
  });
});

describe('inexactDependencies', () => {
  it.each([
    ['1.2.3', 0],
    ['npm:@btc-vision/uwebsockets.js@20.57.0', 0],
    ['1.2.3-beta.1', 0],
    ['^1.2.3', 1],
    ['latest', 1],
    ['1.x', 1],
  ])('%s: %i faults', (version, faults) => {
    expect(inexactDependencies(JSON.stringify({ dependencies: { a: version } }))).toHaveLength(faults);
  });
});
