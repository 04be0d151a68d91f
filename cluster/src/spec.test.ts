import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy', 'docs'];
const TEST_FILE = /\.(test|contract)\.tsx?$/;
/** What may cite a rule: code, scripts, settings and documents, but the rules themselves. */
const CITING_FILE = /(?<!^cluster\/SPEC)\.(tsx?|m?js|lua|md|ya?ml|sh|cfg|conf)$/;
/** Not inside a string, where `//` is part of an address; titles of tests are no comments. */
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
/** What has the form of a rule's number, `SE3`, whether `SPEC` stands before it or not. */
const NUMBER = /\b([A-Z]{2})\d+\b/g;

/** Characters of a rule, at most. Two lines are enough for one statement, with its condition and its reason. */
const MAX_RULE_LENGTH = 200;
/** A sentence that begins so has no named subject, or leans on the rule before it. */
const HEADLESS =
  /^(Who|Whom|Whose|Whoever|What|Whatever|Where|When|While|It|Its|This|That|These|Those|They|Their|Also|And|But|So|Else)\b/;

interface Rule {
  readonly number: string;
  readonly text: string;
}

interface Section {
  readonly prefix: string;
  readonly text: string;
  readonly rules: readonly Rule[];
  readonly retired: readonly string[];
}

function sections(): Section[] {
  const spec = readFileSync(`${ROOT}cluster/SPEC.md`, 'utf8');
  return spec
    .split(/^(?=## )/m)
    .slice(1)
    .map((text) => ({
      prefix: /^## ([A-Z]{2}) – /.exec(text)?.[1] ?? '',
      text,
      rules: [...text.matchAll(/^- \*\*(\w+)\*\* (.*(?:\n {2}.*)*)/gm)].map(
        ([, number = '', lines = '']) => ({ number, text: lines.replaceAll(/\s+/g, ' ') }),
      ),
      retired: /^Retired: (.*)\.$/m.exec(text)?.[1]?.split(', ') ?? [],
    }));
}

const rulesOfSpec = (): string[] => sections().flatMap(({ rules }) => rules.map(({ number }) => number));

/** Every file of ours that is in one of the folders, or beside them, with its text. */
function* files(fits: RegExp): Generator<{ readonly path: string; readonly text: string }> {
  const paths = [
    ...readdirSync(ROOT),
    ...FOLDERS.flatMap((folder) =>
      readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
    ),
  ];
  for (const path of paths) {
    if (/(^|\/)(node_modules|dist)\//.test(path) || !fits.test(path)) continue;
    yield { path, text: readFileSync(ROOT + path, 'utf8') };
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

/** What anything cites: every number that begins as the rules of a section do. */
function citations(): { readonly rule: string; readonly path: string }[] {
  const prefixes = new Set(sections().map(({ prefix }) => prefix));
  return [...files(CITING_FILE)].flatMap(({ path, text }) =>
    [...text.matchAll(NUMBER)].flatMap(([rule, prefix = '']) =>
      prefixes.has(prefix) ? [{ rule, path }] : [],
    ),
  );
}

/** What is wrong with the numbers of a section: each up to the highest one is a rule's, in order, or is listed as gone. */
function faultsOfNumbers({ prefix, rules, retired }: Section): string[] {
  const numbers = rules.map(({ number }) => number);
  const highest = Math.max(...[...numbers, ...retired].map((number) => Number(number.slice(2))));
  const given = Array.from({ length: highest }, (_, index) => `${prefix}${index + 1}`);
  const inOrder = given.filter((number) => numbers.includes(number));
  return [
    ...given
      .filter((number) => !numbers.includes(number) && !retired.includes(number))
      .map((gone) => `${gone} is gone and not listed`),
    ...retired
      .filter((number) => numbers.includes(number) || !given.includes(number))
      .map((alive) => `${alive} is listed as gone`),
    ...numbers
      .filter((number, index) => number !== inOrder[index])
      .map((number) => `${number} is out of order, there twice, or of another section`),
  ];
}

/** Why a rule is not a single statement; nothing where it is one. */
function faultsOf({ number, text }: Rule): string[] {
  // Code, links, and what is said in brackets beside a statement, are no sentences.
  const prose = text.replaceAll(/`[^`]*`/g, 'code').replace(/\.$/, '');
  return [
    ...(text.length > MAX_RULE_LENGTH ? [`has ${text.length} characters`] : []),
    ...(text.endsWith('.') ? [] : ['does not end with a full stop']),
    ...(/[.;!?] |;/.test(prose) ? ['is more than one sentence'] : []),
    ...(HEADLESS.test(text) ? ['does not begin with its subject'] : []),
  ].map((fault) => `${number} ${fault}`);
}

/** The anchor that a Markdown heading gets. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

describe('SPEC.md', () => {
  it('names each rule once, in its section and in order, and lists every number that is gone', () => {
    const all = sections();
    expect(all.length).toBeGreaterThan(20);
    expect(new Set(all.map(({ prefix }) => prefix)).size).toBe(all.length);
    expect(all.flatMap(faultsOfNumbers)).toEqual([]);
  });

  it('has a test for each rule', () => {
    const cited = rulesOfTests();
    expect(rulesOfSpec().filter((rule) => !cited.has(rule))).toEqual([]);
  });

  it('is cited under numbers that it has, and not under retired ones', () => {
    const rules = new Set(rulesOfSpec());
    const cited = citations();
    expect(cited.length).toBeGreaterThan(1_000);
    expect(
      cited.filter(({ rule }) => !rules.has(rule)).map(({ rule, path }) => `${rule} in ${path}`),
    ).toEqual([]);
  });

  it('says one thing with each rule', () => {
    expect(sections().flatMap(({ rules }) => rules.flatMap(faultsOf))).toEqual([]);
  });

  it('leads from each section to the one of ARCHITECTURE.md that explains it', () => {
    const architecture = readFileSync(`${ROOT}ARCHITECTURE.md`, 'utf8');
    const anchors = new Set(
      [...architecture.matchAll(/^#{2,} (.*)$/gm)].map(([, heading = '']) => anchorOf(heading)),
    );
    const links = sections().map(({ prefix, text }) => ({
      prefix,
      anchor: /\n\nExplained in \[[^\]]+\]\(\.\.\/ARCHITECTURE\.md#([^)]+)\)\.\n/.exec(text)?.[1],
    }));
    expect(links.filter(({ anchor }) => anchor === undefined || !anchors.has(anchor))).toEqual([]);
  });
});
