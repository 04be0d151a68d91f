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
