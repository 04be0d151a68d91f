import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseResult } from 'dependency-cruiser';
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import rules from '../../../.dependency-cruiser.mjs';
import { repositoryRoot } from '../cluster/options.ts';

/** The folders whose imports are held to the rules. */
export const CRUISED = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy'];

/** Reads all imports below a root and holds them to the rules. @param root - the repository, or a tree of its shape */
export async function readImports(root: string = repositoryRoot): Promise<ICruiseResult> {
  const { forbidden, options } = rules;
  const { output } = await cruise(
    CRUISED,
    { ...options, baseDir: root, validate: true, ruleSet: { forbidden: forbidden ?? [] } },
    options?.enhancedResolveOptions,
    { tsConfig: extractTsConfig(join(repositoryRoot, 'tsconfig.base.json')) },
  );
  if (typeof output === 'string') throw new Error(`the imports could not be read: ${output}`);
  return output;
}
