import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestNode, TestNodeStore } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';

const UPGRADE =
  'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const OTHER_PATHS = ['/', '/elsewhere', '/socket.io', '/socket.iox/'];

let testNode: TestNode;
beforeAll(async () => {
  testNode = await startTestNode(new TestNodeStore());
});
afterAll(() => testNode.node.stop());

async function ask(path: string): Promise<Socket> {
  const socket = connect(testNode.config.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\n${UPGRADE}`);
  return socket;
}

describe('a WebSocket at another path of the control port', () => {
  test('[EN5] is answered', async () => {
    for (const path of OTHER_PATHS) expect(await text(await ask(path))).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('[EN26] does not end the process when it is aborted', async () => {
    const faults: unknown[] = [];
    const note = (fault: unknown): void => void faults.push(fault);
    // An uncaught error would end the node's process.
    process.on('uncaughtException', note);
    try {
      for (const path of [...OTHER_PATHS, '/socket.io/?EIO=4&transport=websocket']) {
        const broken = await ask(path);
        broken.resetAndDestroy();
        // An answer shows that everything sent before it was processed.
        await text(await ask('/'));
      }
      expect(faults).toEqual([]);
    } finally {
      process.off('uncaughtException', note);
    }
  });
});
