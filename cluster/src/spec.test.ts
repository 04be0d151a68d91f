import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy'];
const TEST_FILE = /\.(test|contract)\.tsx?$/;

function rulesOfSpec(): string[] {
  const text = readFileSync(`${ROOT}cluster/SPEC.md`, 'utf8');
  return [...text.matchAll(/^- \*\*([A-Z]{2}\d+)\*\* /gm)].map((match) => match[1] ?? '');
}

function citedRules(): Map<string, string> {
  const cited = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const path of readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })) {
      if (path.includes('node_modules') || !TEST_FILE.test(path)) continue;
      const text = readFileSync(`${ROOT}${folder}/${path}`, 'utf8');
      for (const match of text.matchAll(/\[([A-Z]{2}\d+)\]/g)) cited.set(match[1] ?? '', `${folder}/${path}`);
    }
  }
  return cited;
}

describe('SPEC.md', () => {
  it('names each rule once', () => {
    const rules = rulesOfSpec();
    expect(rules.length).toBeGreaterThan(20);
    expect(rules).toEqual([...new Set(rules)]);
  });

  it('has a test for each rule, and a rule for each citation', () => {
    const cited = citedRules();
    const rules = new Set(rulesOfSpec());
    expect([...rules].filter((rule) => !cited.has(rule))).toEqual([]);
    expect(
      [...cited].filter(([rule]) => !rules.has(rule)).map(([rule, file]) => `${rule} in ${file}`),
    ).toEqual([]);
  });
});
