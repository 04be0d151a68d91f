/**
 * Builds `client.js`, the headless client of a commit: `.toolchain/bin/node e2e/src/yesterday/make-client.mjs COMMIT`. Its dependencies are
 * those that are installed now; the file contains none of their code.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const [commit = ''] = process.argv.slice(2);
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const full = git('rev-parse', '--verify', `${commit}^{commit}`);
const tree = join(mkdtempSync(join(tmpdir(), 'yesterday-')), 'tree');
git('worktree', 'add', '--quiet', '--detach', tree, full);
try {
  const source = (path) => join(tree, path);
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    root: tree,
    resolve: {
      // The workspace's own packages are those of that commit too.
      alias: [
        { find: '@plenary/cluster/protocol', replacement: source('cluster/src/protocol/index.ts') },
        { find: '@plenary/cluster/errors', replacement: source('cluster/src/errors.ts') },
        { find: '@plenary/cluster/frames', replacement: source('cluster/src/rpc/frame-parser.ts') },
        { find: '@plenary/cluster/ids', replacement: source('cluster/src/protocol/ids.ts') },
      ],
    },
    build: {
      write: false,
      target: 'es2023',
      lib: { entry: source('web/src/client/index.ts'), formats: ['es'] },
      rolldownOptions: {
        external: /^(?!\.|\/|@plenary\/)/,
        output: { minify: true, codeSplitting: false },
      },
    },
  });
  const [{ output }] = [built].flat();
  const heading = `// The headless client of commit ${full.slice(0, 12)}, by make-client.mjs: do not edit.\n`;
  writeFileSync(fileURLToPath(new URL('./client.js', import.meta.url)), heading + output[0].code);
} finally {
  git('worktree', 'remove', '--force', tree);
  rmSync(join(tree, '..'), { recursive: true, force: true });
}
