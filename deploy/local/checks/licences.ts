interface LockfileEntry {
  readonly license?: string;
  readonly link?: boolean;
}

/** Licences whose packages anybody may use, change and redistribute together with our MIT-licensed code. */
const ALLOWED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  // File-level copyleft only covers changes to its own files.
  'MPL-2.0',
]);

/** Packages whose licence a person has read: the lockfile's entry, and the finding. */
const READ: Readonly<Record<string, { readonly license: string | undefined; readonly found: string }>> = {
  'caniuse-lite': { license: 'CC-BY-4.0', found: 'Data for the build; none of it is handed on.' },
  'node-datachannel': { license: 'MPL 2.0', found: 'MPL-2.0, misspelt. Used by the load bots only.' },
  'xmlhttprequest-ssl': { license: undefined, found: 'MIT, in the LICENSE file of the package.' },
};
/** A project's packages for different platforms share one entry. */
const FAMILIES: Readonly<Record<string, string>> = { '@node-datachannel/': 'node-datachannel' };

/**
 * Finds faults in the licences of a lockfile's packages.
 * @param text of package-lock.json
 */
export function licenceFaults(text: string): string[] {
  const { packages = {} } = JSON.parse(text) as { packages?: Record<string, LockfileEntry> };
  return Object.entries(packages).flatMap(([path, { license, link }]) => {
    const name = /.*node_modules\/(.+)$/.exec(path)?.[1];
    if (name === undefined || link === true || isAllowed(license ?? '')) return [];
    const family = Object.entries(FAMILIES).find(([prefix]) => name.startsWith(prefix))?.[1];
    const read = READ[family ?? name];
    if (read !== undefined && read.license === license) return [];
    return [
      `${name} has ${license === undefined ? 'no licence in the lockfile' : `the licence ${license}`}: read it; enter it in deploy/local/checks/licences.ts, or do without the package.`,
    ];
  });
}

/** `A OR B` requires one allowed licence, `A AND B` requires both. A person has to read anything more involved. */
function isAllowed(expression: string): boolean {
  const plain = expression.replace(/^\((.*)\)$/, '$1');
  if (/[()]/.test(plain) || (plain.includes(' OR ') && plain.includes(' AND '))) return false;
  if (plain.includes(' OR ')) return plain.split(' OR ').some((part) => ALLOWED.has(part));
  return plain.split(' AND ').every((part) => ALLOWED.has(part));
}
