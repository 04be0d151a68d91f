/**
 * `docker` for a test of HA_SETUP.md, where there is no engine: `build` notes the image, `run` starts what the image would, as the
 * image's user, with the volume in its place and its variables alone. What it does not know it refuses, as docker does.
 * Runs in a mount namespace whose `/run` is the test's, with the folder of its state in `SITE_STATE`.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const repository = join(import.meta.dirname, '../..');
const state = process.env['SITE_STATE'] ?? '';
const fileOf = (kind: 'image' | 'process' | 'log', name: string): string =>
  join(state, `${kind}-${name.replaceAll(/[^\w.-]/g, '_')}`);

/** The environment that the Dockerfiles set, with the paths of this machine. */
const IMAGES: Readonly<Record<string, { readonly program: string; readonly env: Record<string, string> }>> = {
  'deploy/images/edge-signaling.Dockerfile': {
    program: 'edge-signaling/src/main.ts',
    env: { PLENARY_PORT: '3000' },
  },
  'deploy/images/media-node.Dockerfile': {
    program: 'media-node/src/main.ts',
    env: { PLENARY_PORT: '4000', MEDIASOUP_WORKER_BIN: process.env['MEDIASOUP_WORKER_BIN'] ?? '' },
  },
};

function refuse(message: string): never {
  process.stderr.write(`docker: ${message}\n`);
  process.exit(125);
}

function build(args: readonly string[]): void {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { file: { type: 'string', short: 'f' }, tag: { type: 'string', short: 't' } },
    allowPositionals: true,
  });
  const { file = '', tag = '' } = values;
  if (IMAGES[file] === undefined || !existsSync(file)) refuse(`no Dockerfile ${file}`);
  if (positionals.length !== 1 || tag === '') refuse('build takes a tag and one folder');
  writeFileSync(fileOf('image', tag), file);
}

function run(args: readonly string[]): void {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      detach: { type: 'boolean' },
      rm: { type: 'boolean' },
      name: { type: 'string' },
      network: { type: 'string' },
      restart: { type: 'string' },
      init: { type: 'boolean' },
      ulimit: { type: 'string' },
      'stop-timeout': { type: 'string' },
      volume: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
    allowPositionals: true,
  });
  const [tag = '', ...rest] = positionals;
  const name = values.name ?? '';
  if (!existsSync(fileOf('image', tag))) refuse(`no image ${tag}`);
  const given = variables(values.env);
  if (values.rm === true && rest[0] === 'plenaryctl') {
    const program = join(repository, 'deploy/plenaryctl/main.ts');
    const env = { PATH: process.env['PATH'], ...given };
    const { status } = spawnSync(process.execPath, [program, ...rest.slice(1)], { stdio: 'inherit', env });
    process.exit(status ?? 1);
  }
  if (rest.length > 0 || values.network !== 'host' || values.detach !== true || name === '')
    refuse('run takes one image, a name, --detach and --network host here');
  const { program, env } = IMAGES[readFileSync(fileOf('image', tag), 'utf8')] ?? refuse(`no image ${tag}`);
  const [source = '', target = ''] = values.volume?.split(':') ?? [];
  if (!existsSync(source)) refuse(`no folder ${source}`);
  mkdirSync(target, { recursive: true });
  execFileSync('mount', ['--bind', source, target]);
  const log = openSync(fileOf('log', name), 'a');
  const user = ['--reuid=10001', '--regid=10001', '--clear-groups'];
  const child = spawn('setpriv', [...user, process.execPath, resolve(repository, program)], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
    env: { PATH: process.env['PATH'], ...env, ...given },
  });
  child.unref();
  writeFileSync(fileOf('process', name), String(child.pid));
}

/** Reads variables as docker does: one without a value has the caller's value. */
function variables(texts: readonly string[]): Record<string, string> {
  const given: Record<string, string> = {};
  for (const text of texts) {
    const [name = '', value = process.env[name] ?? ''] = text.split(/=(.*)/s, 2);
    given[name] = value;
  }
  return given;
}

const [command = '', ...args] = process.argv.slice(2);
if (command === 'build') build(args);
else if (command === 'run') run(args);
else refuse(`${command} is not known here`);
