/** Keeps the line numbers of `docs/tour.md`: each link names, in quotation marks, what stands on its line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TARGET = fileURLToPath(new URL('../../docs/tour.md', import.meta.url));
const LINK = /\]\(([^)#\s]+)#L\d+ "([^"]+)"\)/g;

/** The page with current line numbers: each link points to the first line that contains its text. @throws Error if there is none */
export function withLineNumbers(page: string, read: (path: string) => string): string {
  return page.replaceAll(LINK, (_link, path: string, code: string) => {
    const index = read(path)
      .split('\n')
      .findIndex((line) => line.includes(code));
    if (index === -1) throw new Error(`docs/tour.md: no line of ${path} holds: ${code}`);
    return `](${path}#L${index + 1} "${code}")`;
  });
}

if (import.meta.main) {
  const page = readFileSync(TARGET, 'utf8');
  try {
    const current = withLineNumbers(page, (path) => readFileSync(join(dirname(TARGET), path), 'utf8'));
    if (!process.argv.includes('--check')) writeFileSync(TARGET, current);
    else if (page !== current) throw new Error('docs/tour.md is out of date: run `npm run generate`.');
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
