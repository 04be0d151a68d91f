import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { importRules } from './import-directions.js';

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ['**/*.ts', '**/*.tsx'],
      languageOptions: { parser: tseslint.parser },
      plugins: { '@typescript-eslint': tseslint.plugin },
    },
    ...importRules,
  ],
});

async function refusals(file: string, imported: string, typesOnly = false): Promise<string[]> {
  const [result] = await eslint.lintText(`import ${typesOnly ? 'type ' : ''}{ x } from '${imported}';\n`, {
    filePath: file,
  });
  return (result?.messages ?? []).map(({ message }) => message);
}

describe('import directions', () => {
  it.each([
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
    ['web/src/client/a.ts', '@plenary/cluster/make-before-break'],
    ['loadtest/src/a.ts', '@plenary/cluster/make-before-break'],
    ['e2e/simulation/a.ts', '@plenary/cluster/make-before-break'],
    ['web/src/state/a.ts', '../client/index.ts'],
    ['web/src/hooks/a.ts', 'react'],
    ['e2e/src/a.e2e.test.ts', '@plenary/deploy/local-cluster'],
    ['e2e/src/a.e2e.test.ts', '@plenary/loadtest/bots'],
    ['e2e/src/a.e2e.test.ts', '@plenary/loadtest/spanning'],
    ['loadtest/src/a.ts', '@plenary/web/client'],
    ['e2e/simulation/a.ts', '@plenary/cluster/testing/simulation/wire'],
    ['e2e/simulation/a.ts', '@plenary/media-node/simulation'],
    ['deploy/local/checks/a.ts', '../cluster/options.ts'],
  ])('%s may import %s', async (file, imported) => {
    expect(await refusals(file, imported)).toEqual([]);
  });

  it.each([
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
  ])('%s may not import %s, and is told what to do', async (file, imported) => {
    const messages = await refusals(file, imported);
    expect(messages).not.toEqual([]);
  });

  it('lets a file name the types of a socket without opening one', async () => {
    expect(await refusals('edge-signaling/src/session/a.ts', 'socket.io', true)).toEqual([]);
    expect(await refusals('media-node/src/room/a.ts', 'mediasoup/types', true)).not.toEqual([]);
  });
});
