import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { waitFor } from '@plenary/cluster/testing/wait-for';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

export interface Outcome {
  readonly code: number;
  readonly text: string;
}

/**
 * The machines of HA_SETUP.md as one network namespace that has all their addresses, with a folder in which its commands are typed. Everything
 * that is started in it ends with it, since its first process is that of a namespace of processes.
 */
export class HaSite {
  readonly folder: string;
  readonly #holder: ChildProcess;
  readonly #init: number;

  private constructor(folder: string, holder: ChildProcess, init: number) {
    this.folder = folder;
    this.#holder = holder;
    this.#init = init;
  }

  /** Why this machine has no such thing. */
  static async fault(): Promise<string | undefined> {
    if (process.platform !== 'linux') return 'it takes Linux';
    const asImageUser = ['setpriv', '--reuid=10001', '--regid=10001', '--clear-groups'];
    const probe = ['test', '-r', join(root, 'media-node/src/main.ts')];
    try {
      await run('unshare', ['--net', '--mount', '--pid', '--fork', ...asImageUser, ...probe]);
      return undefined;
    } catch {
      return 'it takes root, and a repository that the user of the images can read';
    }
  }

  static async open(addresses: readonly string[]): Promise<HaSite> {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-ha-'));
    for (const name of ['deploy', 'Caddyfile.ha.example']) symlinkSync(join(root, name), join(folder, name));
    mkdirSync(join(folder, '.bin'));
    mkdirSync(join(folder, '.state'));
    for (const [name, program] of [
      ['docker', 'deploy/testing/docker-as-processes.ts'],
      ['plenaryctl', 'deploy/plenaryctl/main.ts'],
    ] as const) {
      const file = join(folder, '.bin', name);
      writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${join(root, program)}" "$@"\n`, {
        mode: 0o755,
      });
    }
    const setUp = [
      'mount -t tmpfs tmpfs /run',
      'ip link set lo up',
      ...addresses.map((address) => `ip address add ${address}/32 dev lo`),
      'echo ready',
      'exec sleep infinity',
    ].join(' && ');
    const holder = spawn(
      'unshare',
      ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', setUp],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout, 'data');
    let init: number | undefined;
    await waitFor('the first process', () => {
      [init] = childrenOf(holder.pid ?? 0);
      return init !== undefined;
    });
    return new HaSite(folder, holder, init ?? 0);
  }

  /** Types a command into a shell of the site, in its folder. */
  async type(command: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const inside = ['-t', String(this.#init), '-n', '-m', '-p', '--wd=/'];
    try {
      const { stdout, stderr } = await run(
        'nsenter',
        [...inside, 'sh', '-c', `cd ${this.folder} && ${command}`],
        {
          env: {
            PATH: `${join(this.folder, '.bin')}:${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`,
            HOME: this.folder,
            SITE_STATE: join(this.folder, '.state'),
            MEDIASOUP_WORKER_BIN: process.env['MEDIASOUP_WORKER_BIN'],
            ...env,
          },
        },
      );
      return { code: 0, text: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
      return { code: typeof code === 'number' ? code : -1, text: `${stdout ?? ''}${stderr ?? ''}` };
    }
  }

  /** Starts a Redis or a Sentinel with a configuration that ends with these lines. */
  async startRedis(
    name: string,
    kind: 'redis' | 'sentinel',
    shipped: string,
    lines: readonly string[],
  ): Promise<void> {
    const folder = join(this.folder, '.state', name);
    mkdirSync(folder);
    copyFileSync(join(root, shipped), join(folder, 'shipped.conf'));
    const own = [...lines, `dir ${folder}`, 'daemonize yes'];
    // Sentinels want to know whom they watch before how; each writes into its own file.
    const shippedText = `include ${join(folder, 'shipped.conf')}`;
    writeFileSync(join(folder, 'own.conf'), [...own, shippedText, ''].join('\n'));
    const mode = kind === 'sentinel' ? ' --sentinel' : '';
    const { code, text } = await this.type(`redis-server ${join(folder, 'own.conf')}${mode}`);
    if (code !== 0) throw new Error(`${name} did not start:\n${text}`);
  }

  async close(): Promise<void> {
    const ended = once(this.#holder, 'exit');
    process.kill(this.#init, 'SIGKILL');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
