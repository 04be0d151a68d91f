import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy', 'docs'];
const TEST_FILE = /\.(test|contract)\.tsx?$/;
/** The files that may cite a rule: code, scripts, settings and documents, except the rules themselves. */
const CITING_FILE = /(?<!^cluster\/SPEC)\.(tsx?|m?js|lua|md|ya?ml|sh|cfg|conf)$/;
/** Comments, but not `//` inside a string, where it is part of an address. Titles of tests are no comments. */
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
/** The form of a rule's number, `SE3`, with or without `SPEC` before it. */
const NUMBER = /\b([A-Z]{2})\d+\b/g;

/** The largest length of a rule, in characters: two lines are enough for one statement with its condition and its reason. */
const MAX_RULE_LENGTH = 200;
/** The beginnings of sentences without a named subject, or that depend on the rule before. */
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

/** Every file of the repository that fits the pattern, with its text. */
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

/** The rules that titles of tests cite; a citation in a comment proves nothing. */
function rulesOfTests(): Map<string, string> {
  const cited = new Map<string, string>();
  for (const { path, text } of files(TEST_FILE))
    for (const [, rule = ''] of text.replaceAll(COMMENT, '').matchAll(/\[([A-Z]{2}\d+)\]/g))
      cited.set(rule, path);
  return cited;
}

/** All citations: every number that begins like the rules of a section. */
function citations(): { readonly rule: string; readonly path: string }[] {
  const prefixes = new Set(sections().map(({ prefix }) => prefix));
  return [...files(CITING_FILE)].flatMap(({ path, text }) =>
    [...text.matchAll(NUMBER)].flatMap(([rule, prefix = '']) =>
      prefixes.has(prefix) ? [{ rule, path }] : [],
    ),
  );
}

/** The faults of a section's numbers: each number up to the highest is a rule, in order, or is listed as retired. */
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

/** Why a rule is not a single statement; empty if it is one. */
function faultsOf({ number, text }: Rule): string[] {
  // Code, links, and remarks in brackets are no sentences.
  const prose = text.replaceAll(/`[^`]*`/g, 'code').replace(/\.$/, '');
  return [
    ...(text.length > MAX_RULE_LENGTH ? [`has ${text.length} characters`] : []),
    ...(text.endsWith('.') ? [] : ['does not end with a full stop']),
    ...(/[.;!?] |;/.test(prose) ? ['is more than one sentence'] : []),
    ...(HEADLESS.test(text) ? ['does not begin with its subject'] : []),
  ].map((fault) => `${number} ${fault}`);
}

/** The anchor of a Markdown heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

describe('SPEC.md', () => {
  it('names each rule once, in its section and in order, and lists every retired number', () => {
    const all = sections();
    expect(all.length).toBeGreaterThan(20);
    expect(new Set(all.map(({ prefix }) => prefix)).size).toBe(all.length);
    expect(all.flatMap(faultsOfNumbers)).toEqual([]);
  });

  it('has a test for each rule', () => {
    const cited = rulesOfTests();
    expect(rulesOfSpec().filter((rule) => !cited.has(rule))).toEqual([]);
  });

  it('is cited only under existing numbers, not under retired ones', () => {
    const rules = new Set(rulesOfSpec());
    const cited = citations();
    expect(cited.length).toBeGreaterThan(1_000);
    expect(
      cited.filter(({ rule }) => !rules.has(rule)).map(({ rule, path }) => `${rule} in ${path}`),
    ).toEqual([]);
  });

  it('makes one statement with each rule', () => {
    expect(sections().flatMap(({ rules }) => rules.flatMap(faultsOf))).toEqual([]);
  });

  it('links each section to the part of ARCHITECTURE.md that explains it', () => {
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
