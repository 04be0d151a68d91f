import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '../cluster/options.ts';
import { CRUISED, readImports } from './cruise.ts';

const ALLOWED = [
  ['edge-signaling/src/session/a.ts', '@plenary/cluster'],
  ['edge-signaling/src/server/uws-carrier.ts', 'uWebSockets.js'],
  ['edge-signaling/src/server/edge-server.ts', 'socket.io'],
  ['edge-signaling/src/media/link.ts', 'socket.io-client'],
  ['edge-signaling/src/session/a.test.ts', 'socket.io-client'],
  ['media-node/src/engine/worker.ts', 'mediasoup'],
  ['media-node/src/engine/worker.ts', 'mediasoup/types'],
  ['media-node/src/control/server.ts', 'socket.io'],
  ['cluster/src/redis/client.ts', 'ioredis'],
  ['cluster/src/consul/client.ts', 'consul'],
  ['cluster/src/placement/placement.contract.test.ts', 'ioredis'],
  ['web/src/client/a.ts', '@plenary/cluster/protocol'],
  ['web/src/client/a.ts', '@plenary/cluster/frames'],
  ['web/src/state/a.ts', '../client/index.ts'],
  ['web/src/hooks/a.ts', 'react'],
  ['e2e/src/a.e2e.test.ts', '@plenary/deploy/local-cluster'],
  ['e2e/src/a.e2e.test.ts', '@plenary/loadtest/bots'],
  ['e2e/src/a.e2e.test.ts', '@plenary/loadtest/spanning'],
  ['loadtest/src/a.ts', '@plenary/web/client'],
  ['e2e/simulation/a.ts', '@plenary/cluster/testing/simulation/wire'],
  ['e2e/simulation/a.ts', '@plenary/media-node/simulation'],
  ['deploy/local/checks/a.ts', '../cluster/options.ts'],
] as const;

const REFUSED = [
  ['edge-signaling/src/session/a.ts', '@plenary/media-node'],
  ['edge-signaling/src/session/a.ts', '../../../media-node/src/engine/worker.ts'],
  ['edge-signaling/src/session/a.ts', 'uWebSockets.js'],
  ['edge-signaling/src/session/a.ts', 'socket.io'],
  ['edge-signaling/src/session/a.ts', 'socket.io-client'],
  ['edge-signaling/src/session/a.ts', 'ioredis'],
  ['media-node/src/room/a.ts', 'mediasoup'],
  ['media-node/src/room/a.ts', 'mediasoup/types'],
  ['media-node/src/room/a.ts', 'socket.io'],
  ['media-node/src/room/a.ts', '@plenary/edge-signaling'],
  ['cluster/src/room/a.ts', 'ioredis'],
  ['cluster/src/registry/a.ts', 'consul'],
  ['cluster/src/redis/connect.ts', 'consul'],
  ['cluster/src/consul/client.ts', 'ioredis'],
  ['edge-signaling/src/edge.ts', 'consul'],
  ['media-node/src/engine/a.ts', 'consul'],
  ['web/src/client/a.ts', 'consul'],
  ['cluster/src/room/a.ts', '@plenary/web/client'],
  ['web/src/client/a.ts', '@plenary/cluster'],
  ['web/src/client/a.ts', '@plenary/cluster/testing/harness'],
  ['web/src/client/a.ts', 'react'],
  ['web/src/pages/a.tsx', 'socket.io'],
  ['e2e/src/a.e2e.test.ts', '@plenary/cluster'],
  ['e2e/src/a.e2e.test.ts', '@plenary/media-node'],
  ['e2e/src/a.e2e.test.ts', '@plenary/media-node/simulation'],
  ['e2e/simulation/a.ts', '@plenary/media-node'],
  ['e2e/simulation/a.ts', '../../media-node/src/room/rooms.ts'],
  ['e2e/src/a.e2e.test.ts', '../../loadtest/src/bots/bot.ts'],
  ['web/src/pages/a.tsx', '@plenary/loadtest/bots'],
  ['loadtest/src/a.ts', '../../web/src/client/meeting.ts'],
  ['deploy/local/a.ts', '@plenary/edge-signaling'],
  // Deleted in an image.
  ['edge-signaling/src/session/a.ts', '@plenary/cluster/testing/harness'],
  // A file that is not there.
  ['cluster/src/room/a.ts', './nowhere.ts'],
  // Two files that import each other, were it only types.
  ['cluster/src/room/one.ts', './other.ts'],
  ['cluster/src/room/other.ts', './one.ts'],
] as const;

/** Types only. */
const ALLOWED_TYPES = ['edge-signaling/src/session/types.ts', 'socket.io'] as const;
const REFUSED_TYPES = ['media-node/src/room/types.ts', 'mediasoup/types'] as const;

/** Writes a tree of the repository's shape in which each file imports what its rows say. */
function writeTree(root: string): void {
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  mkdirSync(join(root, 'node_modules/@plenary'), { recursive: true });
  cpSync(join(repositoryRoot, 'package.json'), join(root, 'package.json'));
  for (const folder of CRUISED) {
    mkdirSync(join(root, folder));
    cpSync(join(repositoryRoot, folder, 'package.json'), join(root, folder, 'package.json'));
    symlinkSync(join('../..', folder), join(root, 'node_modules/@plenary', folder));
    const { exports = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
      readonly exports?: Readonly<Record<string, string>>;
    };
    for (const path of Object.values(exports)) write(join(folder, path.replace('*', 'harness')), '');
  }
  write('cluster/src/testing/simulation/wire.ts', '');
  const imports = new Map<string, string[]>();
  const note = (path: string, line: string): void => {
    imports.set(path, [...(imports.get(path) ?? []), line]);
  };
  for (const [path, imported] of [...ALLOWED, ...REFUSED]) note(path, `import { x } from '${imported}';`);
  for (const [path, imported] of [ALLOWED_TYPES, REFUSED_TYPES])
    note(path, `import type { x } from '${imported}';`);
  for (const [path, lines] of imports) write(path, `${lines.join('\n')}\nexport const y = x;\n`);
  for (const [path, imported] of [...ALLOWED, ...REFUSED, ALLOWED_TYPES, REFUSED_TYPES]) {
    const target = imported.startsWith('.') ? join(dirname(path), imported) : `node_modules/${imported}`;
    if (imported.startsWith('@plenary/') || imported === './nowhere.ts' || existsSync(join(root, target)))
      continue;
    write(imported.startsWith('.') ? target : `${target}/index.js`, '');
  }
}

describe('import directions', () => {
  const root = mkdtempSync(join(tmpdir(), 'plenary-imports-'));
  /** Whether each import of each file is allowed. */
  const verdicts = new Map<string, boolean>();

  beforeAll(async () => {
    writeTree(root);
    const { modules } = await readImports(root);
    for (const { source, dependencies } of modules)
      for (const { module, valid } of dependencies) verdicts.set(`${source} ${module}`, valid);
  });
  afterAll(() => {
    rmSync(root, { recursive: true });
  });

  it.each([...ALLOWED, ALLOWED_TYPES])('%s may import %s', (path, imported) => {
    expect(verdicts.get(`${path} ${imported}`)).toBe(true);
  });

  it.each([...REFUSED, REFUSED_TYPES])('%s may not import %s', (path, imported) => {
    expect(verdicts.get(`${path} ${imported}`)).toBe(false);
  });
});
