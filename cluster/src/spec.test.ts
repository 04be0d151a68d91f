import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy'];
const TEST_FILE = /\.(test|contract)\.tsx?$/;
const CODE_FILE = /\.(tsx?|mjs|lua)$/;
/** Not inside a string, where `//` is part of an address; titles of tests are no comments. */
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
/** What has the form of a rule's number, `SE3`, whether `SPEC` stands before it or not. */
const NUMBER = /\b([A-Z]{2})\d+\b/g;
const DOCUMENTS = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'HA_SETUP.md', 'README.md', 'SECURITY.md'];

function rulesOfSpec(): string[] {
  const text = readFileSync(`${ROOT}cluster/SPEC.md`, 'utf8');
  return [...text.matchAll(/^- \*\*([A-Z]{2}\d+)\*\* /gm)].map((match) => match[1] ?? '');
}

/** Every file of ours whose name fits, with its text. */
function* files(fits: RegExp): Generator<{ readonly path: string; readonly text: string }> {
  for (const folder of FOLDERS) {
    for (const path of readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })) {
      if (/(^|\/)(node_modules|dist)\//.test(path) || !fits.test(path)) continue;
      yield { path: `${folder}/${path}`, text: readFileSync(`${ROOT}${folder}/${path}`, 'utf8') };
    }
  }
}

/** What titles of tests cite; a comment shows nothing. */
function rulesOfTests(): Map<string, string> {
  const cited = new Map<string, string>();
  for (const { path, text } of files(TEST_FILE))
    for (const [, rule = ''] of text.replaceAll(COMMENT, '').matchAll(/\[([A-Z]{2}\d+)\]/g))
      cited.set(rule, path);
  return cited;
}

/** What code and documents cite: every number that begins as one of the rules does. */
function rulesOfCode(rules: ReadonlySet<string>): { readonly rule: string; readonly path: string }[] {
  const sections = new Set([...rules].map((rule) => rule.slice(0, 2)));
  const documents = [
    ...DOCUMENTS,
    ...readdirSync(`${ROOT}docs`)
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ].map((path) => ({ path, text: readFileSync(ROOT + path, 'utf8') }));
  return [...files(CODE_FILE), ...documents].flatMap(({ path, text }) =>
    [...text.matchAll(NUMBER)].flatMap(([rule, section = '']) =>
      sections.has(section) ? [{ rule, path }] : [],
    ),
  );
}

describe('SPEC.md', () => {
  it('names each rule once', () => {
    const rules = rulesOfSpec();
    expect(rules.length).toBeGreaterThan(20);
    expect(rules).toEqual([...new Set(rules)]);
  });

  it('has a test for each rule, and a rule for each citation', () => {
    const cited = rulesOfTests();
    const rules = new Set(rulesOfSpec());
    expect([...rules].filter((rule) => !cited.has(rule))).toEqual([]);
    expect(
      [...cited].filter(([rule]) => !rules.has(rule)).map(([rule, file]) => `${rule} in ${file}`),
    ).toEqual([]);
  });

  it('is cited by code and documents under numbers that it has', () => {
    const rules = new Set(rulesOfSpec());
    const cited = rulesOfCode(rules);
    expect(cited.length).toBeGreaterThan(100);
    expect(
      cited.filter(({ rule }) => !rules.has(rule)).map(({ rule, path }) => `${rule} in ${path}`),
    ).toEqual([]);
  });
});
