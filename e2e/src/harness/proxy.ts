import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { freePort } from '@plenary/cluster/testing/ports';
import { until } from './until.ts';

export const repositoryRoot = join(import.meta.dirname, '../../..');

/** The environment without variables that would redirect or configure a proxy. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^PLENARY_|_proxy$/i.test(name)));
}

/** A proxy program in front of the edges. `stop` removes the process and its folder. */
export class Proxy {
  readonly folder: string;
  readonly #output: string[] = [];
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #startAgain: () => void = () => undefined;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'plenary-proxy-'));
  }

  /** The program's output, for the message of a failed test. */
  get output(): string {
    return this.#output.join('');
  }

  start(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    this.#startAgain = () => this.start(program, args, env);
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => this.#output.push(data.toString()));
    }
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#output.push(`${program} cannot be started: ${error.message}\n`);
        this.#child = undefined;
        resolve();
      });
      child.once('close', () => {
        this.#child = undefined;
        resolve();
      });
    });
  }

  /** @throws Error with the program's output if it has ended */
  assertRuns(): void {
    if (this.#child === undefined) throw new Error(`The proxy has ended:\n${this.output}`);
  }

  /** Stops the program and starts it again, so that it forgets what it knew of the edges. */
  async restart(): Promise<void> {
    await this.#end();
    this.#startAgain();
  }

  async stop(): Promise<void> {
    await this.#end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), 5_000);
    await this.#ended;
    clearTimeout(timer);
  }
}

export interface RunningCaddy {
  readonly proxy: Proxy;
  readonly port: number;
  /** The authority that signed its certificate, as PEM. */
  readonly ca: string;
}

/**
 * Starts Caddy with one of our example files, unchanged. Environment variables make it run on 127.0.0.1, on its own ports
 * and with its own certificate authority.
 */
export async function startCaddy(
  file: string,
  port: number,
  edges: Readonly<Record<string, string>>,
): Promise<RunningCaddy> {
  const proxy = new Proxy();
  proxy.start('caddy', ['run', '--adapter', 'caddyfile', '--config', join(repositoryRoot, file)], {
    ...caddyEnvironment(proxy.folder),
    PLENARY_SITE: `localhost:${port}`,
    PLENARY_HTTPS_PORT: String(port),
    PLENARY_HTTP_PORT: String(await freePort()),
    ...edges,
  });
  try {
    const path = join(proxy.folder, 'data/caddy/pki/authorities/local/root.crt');
    const ca = await until(
      'Caddy has made its authority',
      () => {
        proxy.assertRuns();
        return readIfThere(path);
      },
      (text) => text.includes('END CERTIFICATE'),
    );
    await until(
      'Caddy has a certificate of its own',
      () => {
        proxy.assertRuns();
        return handshake(port, ca);
      },
      (outcome) => outcome === 'done',
    );
    return { proxy, port, ca };
  } catch (error) {
    await proxy.stop();
    throw new Error(`Caddy did not start:\n${proxy.output}`, { cause: error });
  }
}

/** Confines Caddy to 127.0.0.1 and to a folder. */
export function caddyEnvironment(folder: string): Record<string, string> {
  mkdirSync(join(folder, 'data'), { recursive: true });
  return {
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    PLENARY_CADDY_ADMIN: 'off',
    PLENARY_BIND: '127.0.0.1',
    PLENARY_TLS: 'internal',
  };
}

/** @returns `done`, or the reason why there was no TLS connection */
function handshake(port: number, ca: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca });
    const end = (outcome: string): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('secureConnect', () => end('done'));
    socket.once('error', (error: Error) => end(error.message));
  });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Not written yet; the caller tries again.
  }
}
