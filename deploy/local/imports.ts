/**
 * `npm run imports`: the tree of imports by folder, the cycles, and what breaks the rules of `.dependency-cruiser.mjs`.
 * With `--check`, as in `npm run check`, only the latter. The exit code is 1 if there is any.
 */
import { CRUISED, readImports } from './imports/cruise.ts';
import { foldersOf, mutualFolders, treeLines } from './imports/tree.ts';

const unknown = process.argv.slice(2).find((argument) => argument !== '--check');
if (unknown !== undefined) {
  console.error(`This knows only --check, not \`${unknown}\`.`);
  process.exit(1);
}

const OURS = new RegExp(`^(${CRUISED.join('|')})/`);
const TESTS = /\.test\.ts$|\/testing\//;

const { modules, summary } = await readImports();
const sources = new Set(modules.map(({ source }) => source).filter((path) => OURS.test(path)));
const files = modules
  .filter(({ source }) => sources.has(source))
  .map(({ source, dependencies }) => ({
    path: source,
    imports: dependencies.map(({ resolved }) => resolved).filter((path) => sources.has(path)),
  }));

if (!process.argv.includes('--check')) {
  console.log(treeLines(foldersOf(files)).join('\n'));
  const mutual = mutualFolders(foldersOf(files.filter(({ path }) => !TESTS.test(path))));
  console.log(`\nFolders that import each other, tests apart: ${mutual.length}`);
  for (const pair of mutual) console.log(`  ${pair}`);
  const cycles = summary.violations.filter(({ type }) => type === 'cycle').length;
  console.log(`Cycles of files: ${cycles}`);
}
const comments = new Map(summary.ruleSetUsed?.forbidden?.map(({ name, comment }) => [name, comment]));
for (const { from, to, cycle, rule } of summary.violations) {
  const way = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ');
  console.error(`${rule.name}: ${from} → ${way}\n  ${comments.get(rule.name) ?? ''}`);
}
process.exitCode = summary.violations.length === 0 ? 0 : 1;
