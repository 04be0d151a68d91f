import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../cluster/options.ts';
import { inexactDependencies, lockfileFaults } from './lockfile.ts';
import { runTool } from './run.ts';
import type { CommandResult } from './run.ts';

export interface CheckPart {
  readonly name: string;
  /** Why there is nothing to check, where there is not. */
  readonly skip?: string;
  readonly run: () => Promise<CommandResult>;
}

const TSC = 'node_modules/typescript/bin/tsc';
/** One line a fault, without colours: also for logs. */
const PLAIN = ['--pretty', 'false'];
const GENERATOR = 'cluster/src/redis/generate-scripts.ts';

/**
 * The parts of the check. With \`fix\`, those that can mend what they find do so.
 * Order matters only for the print-out, except that with \`fix\` they run one after the other: two would write one file.
 */
export function checkParts(fix: boolean): CheckPart[] {
  const exists = (path: string) => existsSync(join(repositoryRoot, path));
  const missing = (path: string) => (exists(path) ? {} : { skip: `there is no ${path}` });
  return [
    {
      name: 'generated files',
      ...missing(GENERATOR),
      run: () => runTool(GENERATOR, fix ? [] : ['--check']),
    },
    { name: 'types: servers', run: () => runTool(TSC, ['-p', 'tsconfig.json', ...PLAIN]) },
    { name: 'types: tests and load', run: () => runTool(TSC, ['-p', 'tsconfig.dom.json', ...PLAIN]) },
    {
      name: 'types: web',
      ...missing('web/tsconfig.json'),
      run: () => runTool(TSC, ['-p', 'web/tsconfig.json', '--noEmit', ...PLAIN]),
    },
    {
      name: 'lint',
      run: () =>
        runTool('node_modules/eslint/bin/eslint.js', ['.', '--max-warnings', '0', ...(fix ? ['--fix'] : [])]),
    },
    {
      name: 'format',
      run: () =>
        runTool('node_modules/prettier/bin/prettier.cjs', [
          fix ? '--write' : '--check',
          '.',
          '--log-level',
          'warn',
        ]),
    },
    { name: 'lockfile', run: () => Promise.resolve(checkLockfile()) },
  ];
}

function checkLockfile(): CommandResult {
  const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');
  const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
  const faults = [
    ...lockfileFaults(read('package-lock.json')),
    ...['.', ...workspaces].flatMap((folder) =>
      inexactDependencies(read(join(folder, 'package.json'))).map((fault) => `${folder}: ${fault}`),
    ),
  ];
  return { ok: faults.length === 0, output: faults.join('\n') };
}
