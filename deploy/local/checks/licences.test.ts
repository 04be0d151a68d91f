import { describe, expect, it } from 'vitest';
import { licenceFaults } from './licences.ts';

const faults = (name: string, license?: string) =>
  licenceFaults(
    JSON.stringify({ packages: { '': {}, [`node_modules/x/node_modules/${name}`]: { license } } }),
  );

describe('[SU4] every package has a licence that is known to fit', () => {
  it.each(['MIT', 'MPL-2.0', '(GPL-3.0 OR MIT)', 'MIT AND ISC'])('takes %s', (license) => {
    expect(faults('a', license)).toEqual([]);
  });

  it.each([
    'GPL-3.0',
    'MIT AND GPL-3.0',
    'SEE LICENSE IN LICENSE',
    '(MIT AND GPL-3.0) OR AGPL-3.0',
    'UNLICENSED',
    '',
  ])('refuses %j', (license) => {
    expect(faults('@a/b', license)[0]).toContain('@a/b has the licence');
  });

  it('refuses a package without one', () => {
    expect(faults('a')[0]).toContain('a has no licence in the lockfile');
  });

  it('takes what a person has read, and refuses it once it says something else', () => {
    expect(faults('xmlhttprequest-ssl')).toEqual([]);
    expect(faults('@node-datachannel/linux-x64-gnu', 'MPL 2.0')).toEqual([]);
    expect(faults('caniuse-lite', 'GPL-3.0')).toHaveLength(1);
  });
});
