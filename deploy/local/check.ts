/**
 * `npm run check`: types, lint, imports, format, generated files, lockfile, licences, images, audit. `npm run fix` mends what
 * can be mended. Every fault is shown; the exit code is 1 if there is any.
 */
import { checkParts } from './checks/parts.ts';
import type { CheckPart } from './checks/parts.ts';
import { formatDuration } from './setup/progress.mjs';

/** How many programs run at a time: each of them fills a core. */
const AT_ONCE = 2;

const unknown = process.argv.slice(2).find((argument) => argument !== '--fix');
if (unknown !== undefined) {
  console.error(`The check knows only --fix, not \`${unknown}\`.`);
  process.exit(1);
}
const fix = process.argv.includes('--fix');
const failures: { name: string; output: string }[] = [];

async function runPart(part: CheckPart): Promise<void> {
  if (part.skip !== undefined) {
    console.log(`  -  ${part.name}: ${part.skip}`);
    return;
  }
  const startedAt = performance.now();
  const { ok, output, note } = await part.run();
  console.log(
    `  ${ok ? '✓' : '✗'}  ${part.name} (${formatDuration(performance.now() - startedAt)})${note === undefined ? '' : `: ${note}`}`,
  );
  if (!ok) failures.push({ name: part.name, output });
}

const waiting = checkParts(fix);
async function takeNext(): Promise<void> {
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) await runPart(part);
}
await Promise.all(Array.from({ length: fix ? 1 : AT_ONCE }, takeNext));

for (const { name, output } of failures) console.error(`\n── ${name} ──\n${output}`);
if (failures.length > 0) {
  console.error(
    `\n${failures.length} of the checks failed. \`npm run fix\` mends format, imports and generated files.`,
  );
  process.exit(1);
}
