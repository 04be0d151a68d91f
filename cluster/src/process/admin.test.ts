import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.ts';
import { Drain } from '../drain/drain.ts';
import { ADMIN_DRAIN_PATH, ADMIN_DRAIN_REPLY } from './admin.ts';
import { askAdmin } from './admin-client.ts';
import {
  ADMIN_CHALLENGE,
  ADMIN_CHALLENGE_PATH,
  AdminDoor,
  adminKey,
  adminKeyText,
  authorizationOf,
  parseAdminKey,
} from './admin-proof.ts';
import { OperatorServer } from './operator-server.ts';
import { freePort } from '../testing/ports.ts';
import { waitFor } from '../testing/wait-for.ts';

const TOKEN = 'an admin token of thirty-two characters';
const OTHER = 'another admin token of thirty-two chars';
const subject = { kind: 'edge', id: 'edge-1' } as const;
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const BROKEN_PATH = '/admin/broken';

async function operators(tokens: readonly [string, ...string[]] = [TOKEN], id = 'edge-1') {
  const faults: unknown[] = [];
  const warnings: object[] = [];
  let isReady = false;
  const drain = new Drain<string>({
    clock: systemClock,
    members: () => [],
    isIdle: () => true,
    ask: () => undefined,
    cut: () => undefined,
    changed: () => undefined,
  });
  const own = { kind: 'edge', id } as const;
  const door = new AdminDoor(tokens, own, systemClock);
  const server = new OperatorServer({
    readiness: () => (isReady ? { ready: true, reasons: [] } : { ready: false, reasons: ['starting'] }),
    metrics: () => Promise.resolve({ contentType: 'text/plain', text: 'plenary_up 1' }),
    admin: () => ({
      ...own,
      door,
      drain,
      actions: { [BROKEN_PATH]: () => Promise.reject(new Error('a bug')) },
    }),
    onFault: (fault) => faults.push(fault),
    logger: { warn: (fields: object) => warnings.push(fields) },
  });
  const port = await freePort();
  await server.listen(port, '127.0.0.1');
  ends.push(() => server.close());
  const url = `http://127.0.0.1:${port}`;
  const ask = (method: string, body?: unknown, token = TOKEN) =>
    askAdmin({ url, subject: own }, [token], {
      method,
      path: ADMIN_DRAIN_PATH,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const becomeReady = (): void => {
    isReady = true;
  };
  return { url, drain, door, ask, faults, warnings, becomeReady };
}

describe('the operators\u2019 port', () => {
  it('[OP1] serves liveness, readiness and metrics, and nothing else', async () => {
    const { url } = await operators();
    const get = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return [response.status, (await response.text()).trim()];
    };
    expect(await get('/health')).toEqual([200, '{"healthy":true}']);
    expect(await get('/ready')).toEqual([503, '{"ready":false,"reasons":["starting"]}']);
    expect(await get('/metrics?x=1')).toEqual([200, 'plenary_up 1']);
    for (const other of ['/', '/admin', '/admin/other', '/socket.io/'])
      expect((await get(other))[0]).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  });

  it('[EN34] [EN35] answers a health check while strangers hold all connections that there may be, and one address few, also a check of that address', async () => {
    const { url, warnings } = await operators();
    const { hostname, port } = new URL(url);
    const open: Socket[] = [];
    let closed = 0;
    const hold = async (localAddress: string): Promise<void> => {
      const socket = connect({ port: Number(port), host: hostname, localAddress });
      open.push(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        closed += 1;
      });
      await once(socket, 'connect');
    };
    ends.push(() => {
      for (const socket of open) socket.destroy();
    });
    const asked = async (): Promise<number> =>
      (await fetch(`${url}/health`, { headers: { connection: 'close' } })).status;
    for (let count = 0; count < 208; count += 1) await hold('127.0.0.2');
    await waitFor('connections beyond the limit of one address to be closed', () => closed >= 16);
    expect(await asked()).toBe(200);
    expect(warnings).toEqual([{ reason: 'address' }]);
    // All clients behind Docker's proxy, or address translation, have one address.
    for (let count = 0; count < 208; count += 1) await hold('127.0.0.1');
    expect(await asked()).toBe(200);
    for (const localAddress of ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6'])
      for (let count = 0; count < 60; count += 1) await hold(localAddress);
    expect(await asked()).toBe(200);
  });

  it('[AD31] tells readiness to a check that names no path, as HAProxy\u2019s own does', async () => {
    const { url, becomeReady } = await operators();
    const check = async (path: string) => {
      const { hostname, port } = new URL(url);
      const socket = connect(Number(port), hostname, () => socket.write(`OPTIONS ${path} HTTP/1.0\r\n\r\n`));
      return (await text(socket)).split('\r\n')[0];
    };
    expect(await check('/')).toBe('HTTP/1.1 503 Service Unavailable');
    becomeReady();
    expect(await check('/')).toBe('HTTP/1.1 200 OK');
    expect(await check('*')).toBe('HTTP/1.1 200 OK');
    expect(await check('/metrics')).toBe('HTTP/1.1 405 Method Not Allowed');
  });

  it('[DR6] [DR24] drains, shows the progress, and cancels', async () => {
    const { ask, drain } = await operators();
    expect(await ask('GET')).toMatchObject({ status: 200, body: { id: 'edge-1', state: 'serving' } });
    const begun = await ask('POST', { deadlineMs: 60_000, id: 'edge-1' });
    expect(ADMIN_DRAIN_REPLY.parse(begun.body)).toMatchObject({ kind: 'edge', state: 'drained', left: 0 });
    expect(drain.isOn).toBe(true);
    expect(await ask('DELETE')).toMatchObject({ status: 200, body: { state: 'serving' } });
    expect(drain.isOn).toBe(false);
  });

  it('[DR23] refuses a request that is malformed, meant for another process, or unknown', async () => {
    const { ask, drain } = await operators();
    for (const body of ['', [], { deadlineMs: -1 }, { deadlineMs: 1e12 }])
      expect((await ask('POST', body)).status).toBe(400);
    expect((await ask('POST', { deadlineMs: 1, id: 'edge-2' })).status).toBe(409);
    expect((await ask('PUT')).status).toBe(405);
    expect(drain.isOn).toBe(false);
  });

  it('[OP10] refuses anybody without the token, and accepts both tokens while it is changed', async () => {
    const { ask, url, drain } = await operators([OTHER, TOKEN]);
    expect((await ask('POST', { deadlineMs: 1 }, 'x'.repeat(40))).status).toBe(401);
    const bearer = await fetch(`${url}${ADMIN_DRAIN_PATH}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect(bearer.status).toBe(401);
    expect(drain.isOn).toBe(false);
    expect((await ask('GET', undefined, OTHER)).status).toBe(200);
    expect((await ask('GET', undefined, TOKEN)).status).toBe(200);
    expect(
      (await askAdmin({ url }, ['x'.repeat(40), TOKEN], { method: 'GET', path: ADMIN_DRAIN_PATH })).status,
    ).toBe(200);
  });

  it('[OP2] a proof is valid once, for one request, to one process', async () => {
    const { url } = await operators();
    const other = await operators([TOKEN], 'edge-2');
    const request = { method: 'DELETE', path: ADMIN_DRAIN_PATH, body: '' };
    const challenge = async (of: string): Promise<string> => {
      const response = await fetch(`${of}${ADMIN_CHALLENGE_PATH}`, { method: 'POST' });
      return ADMIN_CHALLENGE.parse(await response.json()).challenge;
    };
    const ask = async (of: string, authorization: string, method = 'DELETE') =>
      (await fetch(`${of}${ADMIN_DRAIN_PATH}`, { method, headers: { authorization } })).status;
    const key = adminKey(TOKEN, subject);
    const proof = authorizationOf(key, await challenge(url), request);
    expect(await ask(url, proof, 'GET')).toBe(401);
    expect(await ask(url, proof)).toBe(200);
    expect(await ask(url, proof)).toBe(401);
    // An attacker in the middle forwards the challenge of another process.
    const relayed = authorizationOf(key, await challenge(other.url), request);
    expect(await ask(other.url, relayed)).toBe(401);
    const made = Buffer.alloc(56, 1).toString('base64url');
    expect(await ask(url, authorizationOf(key, made, request))).toBe(401);
  });

  it('[OP5] [OP19] a process with only its key admits an operator with the token, and the key opens nothing else', async () => {
    const [own, other] = [subject, { kind: 'media-node', id: 'media-1' } as const].map((of) =>
      parseAdminKey(adminKeyText(TOKEN, of)),
    );
    if (own === undefined || other === undefined) throw new Error('two keys');
    const request = { method: 'POST', path: '/admin/revoke', body: '{}' };
    const door = new AdminDoor([own.key], subject, systemClock);
    const challenge = door.challenge();
    expect(door.check(authorizationOf(other.key, challenge, request), request)).toBeUndefined();
    expect(door.check(authorizationOf(adminKey(TOKEN, subject), challenge, request), request)).toBeDefined();
    for (const wrong of [
      '',
      TOKEN,
      `${adminKeyText(TOKEN, subject)}x`,
      'pak1.edge.edge-1.',
      'pak2.edge.edge-1.x',
    ])
      expect(parseAdminKey(wrong), wrong).toBeUndefined();
  });

  it('[OP9] a failed action is answered with a proof, and its error is reported', async () => {
    const { url, faults } = await operators();
    const failed = await askAdmin({ url, subject }, [TOKEN], { method: 'POST', path: BROKEN_PATH });
    expect(failed).toMatchObject({
      status: 500,
      body: { error: expect.stringContaining('internal') as string },
    });
    expect(faults).toEqual([new Error('a bug')]);
  });

  it('[OP2] a challenge expires', () => {
    let nowMs = 0;
    const door = new AdminDoor([TOKEN], subject, { monotonicMs: () => nowMs, wallMs: () => 0 });
    const request = { method: 'GET', path: ADMIN_DRAIN_PATH, body: '' };
    const authorization = authorizationOf(adminKey(TOKEN, subject), door.challenge(), request);
    nowMs = 30_001;
    expect(door.check(authorization, request)).toBeUndefined();
  });

  it('[OP8] an impostor of a process learns no token and is not believed', async () => {
    const heard: string[] = [];
    const impostor = createServer((request, response) => {
      heard.push(JSON.stringify(request.headers));
      const isChallenge = request.url === ADMIN_CHALLENGE_PATH;
      const reply = isChallenge
        ? { ...subject, challenge: 'A'.repeat(75) }
        : { ...subject, state: 'drained', left: 0, gone: 0, cut: 0 };
      response.end(JSON.stringify(reply));
    });
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    ends.push(() => impostor.close());
    const url = `http://127.0.0.1:${(impostor.address() as AddressInfo).port}`;
    const ask = (id: string) =>
      askAdmin({ url, subject: { kind: 'edge', id } }, [TOKEN], { method: 'GET', path: ADMIN_DRAIN_PATH });
    await expect(ask('edge-1')).rejects.toThrow('does not know the admin token');
    await expect(ask('edge-2')).rejects.toThrow('is edge edge-1, not edge edge-2');
    expect(heard.join()).not.toContain(TOKEN);
  });
});
