/** An attacker between an edge and a media node can only cut the connection. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { metricSum } from '../testing/metric-values.ts';
import { TestEdge } from '../testing/test-edge.ts';
import { startTestNode, TestNodeStore, TEST_SECRET } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';

/** Forwards bytes in both directions and records them. */
class Eavesdropper {
  /** Bytes of the caller. */
  readonly heard: Buffer[] = [];
  /** Bytes of the node. */
  answered = '';
  /** Changes one bit of the next message to the caller. */
  isMeddling = false;
  readonly #server = createServer((caller) => this.#carry(caller));
  readonly #sockets = new Set<Socket>();
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** Replays the recorded bytes of the caller. @returns the answer */
  sayAgain([upgrade = Buffer.of(), opening = Buffer.of(), ...frames]: readonly Buffer[]): { text: string } {
    const answer = { text: '' };
    const socket = connect(this.#port, '127.0.0.1', () => {
      socket.write(upgrade);
    });
    this.#keep(socket);
    socket.on('data', (chunk) => {
      // Engine.IO drops bytes that arrive together with the upgrade request.
      if (!answer.text.includes('"sid"') && chunk.includes('"sid"')) socket.write(opening);
      if (chunk.includes('challenge')) socket.write(Buffer.concat(frames));
      answer.text += chunk.toString('latin1');
    });
    return answer;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(caller: Socket): void {
    const node = connect(this.#port, '127.0.0.1');
    for (const socket of [caller, node]) this.#keep(socket);
    caller.on('data', (chunk) => {
      this.heard.push(chunk);
      node.write(chunk);
    });
    node.on('data', (chunk) => {
      this.answered += chunk.toString('latin1');
      // A ping is two bytes; in longer messages, a byte in the middle is changed.
      const middle = Math.floor(chunk.length / 2);
      if (this.isMeddling && chunk.length > 40) chunk.writeUInt8(chunk.readUInt8(middle) ^ 1, middle);
      caller.write(chunk);
    });
    caller.on('close', () => node.destroy());
    node.on('close', () => caller.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

let testNode: TestNode;
let between: Eavesdropper;
let url: string;
beforeAll(async () => {
  testNode = await startTestNode(new TestNodeStore());
  between = new Eavesdropper(testNode.config.port);
  url = await between.listen();
});
afterEach(() => {
  between.heard.length = 0;
  between.answered = '';
  between.isMeddling = false;
});
afterAll(async () => {
  await between.close();
  await testNode.node.stop();
});

const links = (): Promise<number> => metricSum(testNode.node.metrics, 'plenary_media_control_links');

describe('somebody between an edge and a media node', () => {
  test('[CL9] gets no link by replaying recorded messages', async () => {
    const { mediaNodeId } = testNode.config;
    const edge = await TestEdge.connect({ url, mediaNodeId, clusterSecret: TEST_SECRET });
    const opening = between.heard.splice(0);
    edge.close();
    await waitFor('the link to be gone', async () => (await links()) === 0);
    const answer = between.sayAgain(opening);
    const refused = () => metricSum(testNode.node.metrics, 'plenary_media_refused_links_total');
    await waitFor('the node to answer', async () => answer.text.includes('hello') || (await refused()) > 0);
    expect(await links()).toBe(0);
  });

  test('[CL10] can read no message', async () => {
    const { mediaNodeId } = testNode.config;
    const edge = await TestEdge.connect({ url, mediaNodeId, clusterSecret: TEST_SECRET });
    await waitFor('a beat', () => edge.notices('beat').length > 0);
    expect(between.answered).toContain('sealed');
    for (const text of ['hello', 'beat', mediaNodeId, testNode.node.incarnation])
      expect(between.answered).not.toContain(text);
    edge.close();
  });

  test('[CL27] ends the link by changing one bit', async () => {
    const { mediaNodeId } = testNode.config;
    const edge = await TestEdge.connect({ url, mediaNodeId, clusterSecret: TEST_SECRET });
    between.isMeddling = true;
    await waitFor('the link to be ended', () => !edge.socket.connected);
    expect(edge.refusal?.message).toContain('changed, lost or repeated');
    await waitFor('the node to notice', async () => (await links()) === 0);
  });
});
