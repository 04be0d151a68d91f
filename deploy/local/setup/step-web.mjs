// @ts-check
import { join } from 'node:path';
import { childEnvironment } from './environment.mjs';
import { webSourcesHash } from './facts.mjs';
import { nodeBinary, root } from './paths.mjs';
import { runLogged } from './process.mjs';
import { writeState } from './state.mjs';

/**
 * Builds the web app into `web/dist`.
 * @returns {Promise<string>} what was done
 */
export async function buildWebApp() {
  // Taken before: a file changed during the build makes the next start build again.
  const hash = webSourcesHash();
  await runLogged(nodeBinary, [join(root, 'node_modules/vite/bin/vite.js'), 'build', 'web'], {
    log: 'web',
    cwd: root,
    env: childEnvironment(),
    failure: 'The web app could not be built.',
  });
  writeState('web', hash);
  return 'built';
}
