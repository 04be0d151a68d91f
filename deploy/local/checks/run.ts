import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from '../cluster/options.ts';

export interface CommandResult {
  readonly ok: boolean;
  readonly output: string;
  /** A note about a part that passed. */
  readonly note?: string;
}

/**
 * Runs one of our tools with our Node and collects its output. A tool that cannot be run counts as failed.
 * @param script a path below the repository's root
 */
export function runTool(script: string, args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(repositoryRoot, script), ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => (output += data.toString()));
    }
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, output: output.trim() }));
  });
}
