import { PlenaryError } from '@plenary/cluster';
import { MAX_MESSAGE_LENGTH, REPLY_ENVELOPE } from '@plenary/cluster/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RawSocket } from './testing/raw-socket.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
});
afterAll(async () => cluster.stop());

async function opened(): Promise<RawSocket> {
  const raw = await RawSocket.open(cluster.edge(0).url);
  await raw.enterNamespace();
  return raw;
}

/** The code with which the edge answers the message number `id`. */
async function answerTo(raw: RawSocket, id: string): Promise<string> {
  const start = `43${id}[`;
  const find = (): string | undefined => raw.received.find((frame) => frame.startsWith(start));
  await waitFor(`an answer to ${id}`, () => find() !== undefined);
  const [reply] = z.tuple([REPLY_ENVELOPE]).parse(JSON.parse(find()?.slice(start.length - 1) ?? ''));
  return reply.ok ? 'ok' : reply.error.code;
}

/** The last word of the edge to a connection that it closes. */
async function lastWord(raw: RawSocket): Promise<string> {
  await raw.closed();
  const bye = raw.received.find((frame) => frame.startsWith('42["bye",'));
  const [, payload] = z
    .tuple([z.literal('bye'), z.object({ code: z.string() })])
    .parse(JSON.parse(bye?.slice(2) ?? ''));
  return payload.code;
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('frames of a stranger', () => {
  it('[EN15] a payload that nests thousands deep is answered, and the edge lives', async () => {
    const raw = await opened();
    raw.send(`420["edge.check",${nested(6_000)}]`);
    expect(await answerTo(raw, '0')).toBe('malformed_message');
    raw.send(`421["edge.check",${'{"a":'.repeat(4_000)}1${'}'.repeat(4_000)}]`);
    expect(await answerTo(raw, '1')).toBe('malformed_message');
    raw.send(`422["edge.check",${nested(MAX_MESSAGE_LENGTH / 2 + 1)}]`);
    expect(await answerTo(raw, '2')).toBe('message_too_large');
    raw.send('423["edge.check",{}]');
    expect(await answerTo(raw, '3')).toBe('out_of_order');
    raw.close();
  });

  it('[EN16] before the namespace such a frame closes its connection', async () => {
    const raw = await RawSocket.open(cluster.edge(0).url);
    raw.send(`40${nested(6_000)}`);
    await raw.closed();
  });

  it('[EN2] a name that is none is unknown, with an answer', async () => {
    const raw = await opened();
    const names = [
      '[]',
      '[7]',
      '["error",{}]',
      '["connect",{}]',
      '["disconnect"]',
      '["__proto__",{}]',
      '[null,1]',
    ];
    for (const [index, payload] of names.entries()) {
      raw.send(`42${index}${payload}`);
      expect(await answerTo(raw, String(index))).toBe('unknown_message');
    }
    raw.close();
  });

  it('[EN17] what is no packet of a client closes the connection, with the reason', async () => {
    const frames = [
      '451-["join",{"_placeholder":true,"num":0}]',
      '461-[]',
      '431[]',
      '44{}',
      '40',
      '40/admin,',
      '42/admin,["join",{}]',
      '429007199254740992["join",{}]',
      '42["join",',
      '4',
    ];
    for (const frame of frames) {
      const raw = await opened();
      raw.send(frame);
      expect([frame, await lastWord(raw)]).toEqual([frame, 'malformed_message']);
    }
    expect(new PlenaryError('malformed_message').retryable).toBe(false);
  });

  it('[EN20] a namespace that is asked for twice at once is entered once', async () => {
    const raw = await RawSocket.open(cluster.edge(0).url);
    raw.send('40');
    raw.send('40');
    await raw.closed();
    expect(raw.received.filter((frame) => frame.startsWith('40{')).length).toBeLessThanOrEqual(1);
    await waitFor(
      'the edge to forget it',
      async () => (await cluster.edge(0).metric('plenary_edge_sockets')) === 0,
    );
  });
});
