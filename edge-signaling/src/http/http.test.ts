import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { ManualClock, PlenaryError } from '@plenary/cluster';
import {
  CLIENT_REQUESTS,
  EDGE_NOTICES,
  ROUTER_RTP_CAPABILITIES,
  SERVED_PROTOCOL_VERSIONS,
} from '@plenary/cluster/protocol';
import { tenant } from '@plenary/cluster/testing/samples';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAddressReader, normalise } from './client-address.ts';
import { serveCapabilities, serveProtocolSchema } from './descriptions.ts';
import { handleGuestToken } from './guest-token.ts';
import { createOriginCheck } from './origins.ts';
import { BUDGETS } from '../limits/budget.ts';
import { HTTP_COST } from '../limits/cost.ts';
import { LimitedLog } from '../limits/limited-log.ts';
import { EdgeBudgets, Meter } from '../limits/meter.ts';
import { createEdgeMetrics } from '../metrics.ts';
import { json, GUEST_TOKEN_BODY_BYTES, text } from './port.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './port.ts';
import { isOffered, reasonsAgainst } from './readiness.ts';
import type { ReadinessQuestion } from './readiness.ts';
import { contentSecurityPolicy, createRouter } from './router.ts';
import type { RouterSettings } from './router.ts';
import { createStaticFiles } from './static-files.ts';

const SECRET = 's'.repeat(32);

function request(
  path: string,
  changes: { method?: string; body?: string; headers?: Record<string, string> } = {},
): HttpRequest {
  const body = new TextEncoder().encode(changes.body ?? '');
  return {
    method: changes.method ?? 'GET',
    path,
    address: '192.0.2.1',
    header: (name) => changes.headers?.[name],
    body: async () => {
      if (body.length > GUEST_TOKEN_BODY_BYTES) throw new PlenaryError('message_too_large');
      return Promise.resolve(body);
    },
  };
}

const NOTHING_SPENT: RouterSettings['budgets'] = {
  chargeHttp: () => 'allowed',
  spendHttp: () => undefined,
};

/** A router whose addresses pay until `spend` is called, and then have nothing left. */
function chargingRouter() {
  const spent: number[] = [];
  let verdict: ReturnType<RouterSettings['budgets']['chargeHttp']> = 'allowed';
  const router = createRouter({
    routes: {
      'GET /health': () => json(200, {}),
      'GET /api/ready': () => json(200, {}),
      'GET /page': () => json(200, {}),
      'GET /letters': () => text(200, '€'.repeat(1_000)),
      'GET /binary': () => ({ status: 200, headers: {}, body: new Uint8Array(500) }),
    },
    free: ['GET /health', 'GET /api/ready'],
    readers: {},
    otherwise: () => json(404, {}),
    contentSecurityPolicy: contentSecurityPolicy('https://a.example'),
    isEmbeddable: false,
    budgets: { chargeHttp: () => verdict, spendHttp: (_address, bytes) => void spent.push(bytes) },
    onFault: (fault) => expect.fail(String(fault)),
  });
  const spend = (): void => {
    verdict = 'rate_limited';
  };
  return { router, spend, spent };
}

describe('requests by HTTP', () => {
  it('[BU21] [BU72] are paid by their address, which is refused beyond it, and its sockets go on', async () => {
    const clock = new ManualClock();
    const metrics = createEdgeMetrics();
    const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
    const budgets = new EdgeBudgets({ clock, socketsPerAddress: 10, log });
    const router = createRouter({
      routes: { 'GET /page': () => json(200, {}), 'GET /large': () => text(200, 'x'.repeat(1_000_000)) },
      free: [],
      readers: {},
      otherwise: () => json(404, {}),
      contentSecurityPolicy: contentSecurityPolicy('https://a.example'),
      isEmbeddable: false,
      budgets,
      onFault: (fault) => expect.fail(String(fault)),
    });
    const statuses = async (path: string, times: number, address = '192.0.2.1'): Promise<number[]> => {
      const all: number[] = [];
      for (let count = 0; count < times; count += 1)
        all.push((await router({ ...request(path), address })).status);
      return all;
    };
    const served = (all: readonly number[]): number => all.filter((status) => status === 200).length;
    const affordable = (10 * BUDGETS.address.work.capacity) / HTTP_COST;
    const first = await statuses('/page', 2 * affordable);
    expect(served(first)).toBe(affordable);
    expect(first.at(-1)).toBe(429);
    expect(served(await statuses('/page', 5, '192.0.2.2'))).toBe(5);
    const socket = new Meter(budgets, '192.0.2.1');
    expect(socket.charge({ work: 20 }, undefined, 0)).toBe('allowed');
    expect(await metrics.registry.metrics()).toContain('scope="address",resource="work"');
    const large = await statuses('/large', 100, '192.0.2.3');
    expect(served(large)).toBeLessThan(50);
    clock.advance(60_000);
    expect(served(await statuses('/page', 5))).toBe(5);
  });

  it('[BU73] of probes are free, by GET and HEAD alone: who shares an address with them takes no edge out of service', async () => {
    const { router, spend } = chargingRouter();
    spend();
    const ask = async (path: string, method = 'GET') => (await router(request(path, { method }))).status;
    expect(await ask('/page')).toBe(429);
    for (const path of ['/health', '/api/ready']) {
      for (let count = 0; count < 1_000; count += 1) expect(await ask(path)).toBe(200);
      expect(await ask(path, 'HEAD')).toBe(200);
      expect(await ask(path, 'POST')).toBe(429);
      expect(await ask(path, 'OPTIONS')).toBe(429);
    }
  });

  it('[BU74] are charged the bytes that are sent: of letters all of theirs, of HEAD none', async () => {
    const { router, spent } = chargingRouter();
    await router(request('/letters'));
    expect(spent).toEqual([3_000]);
    await router(request('/binary'));
    expect(spent).toEqual([3_000, 500]);
    await router(request('/letters', { method: 'HEAD' }));
    expect(spent.reduce((sum, bytes) => sum + bytes, 0)).toBe(3_500);
  });
});

describe('the router', () => {
  const faults: unknown[] = [];
  const router = createRouter({
    routes: {
      'GET /health': () => json(200, {}),
      'GET /broken': () => {
        throw new Error('secret detail');
      },
      'POST /post': () => {
        throw new PlenaryError('rate_limited');
      },
    },
    free: [],
    readers: { '/health': 'any site', '/post': (origin) => origin === 'https://good.example' },
    otherwise: () => json(404, {}),
    contentSecurityPolicy: contentSecurityPolicy('https://a.example'),
    isEmbeddable: false,
    budgets: NOTHING_SPENT,
    onFault: (fault) => faults.push(fault),
  });

  it('[HT3] answers GET and HEAD, and refuses other methods', async () => {
    expect((await router(request('/health'))).status).toBe(200);
    expect((await router(request('/health', { method: 'HEAD' }))).status).toBe(200);
    expect((await router(request('/health', { method: 'POST' }))).status).toBe(405);
    expect((await router(request('/other', { method: 'PUT' }))).status).toBe(405);
    expect((await router(request('/constructor'))).status).toBe(404);
  });

  it('[PR6] lets pages of allowed origins read every answer, refusals too, and answers what a browser asks before', async () => {
    const ask = async (method: string, path: string, origin?: string): Promise<HttpResponse> =>
      router(request(path, { method, ...(origin === undefined ? {} : { headers: { origin } }) }));
    const readableBy = ({ headers }: HttpResponse) => headers['access-control-allow-origin'];
    const [good, evil] = ['https://good.example', 'https://evil.example'];
    expect(readableBy(await ask('GET', '/health', evil))).toBe('*');
    expect(readableBy(await ask('DELETE', '/health', evil))).toBe('*');
    expect(await ask('POST', '/post', good)).toMatchObject({
      status: 429,
      headers: { 'access-control-allow-origin': good, vary: 'origin' },
    });
    expect(readableBy(await ask('PUT', '/post', good))).toBe(good);
    expect(readableBy(await ask('POST', '/post', evil))).toBeUndefined();
    expect(readableBy(await ask('GET', '/other', good))).toBeUndefined();
    expect(await ask('OPTIONS', '/post', good)).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': good,
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'content-type',
      },
    });
    expect(await ask('OPTIONS', '/health', evil)).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': '*', 'access-control-allow-methods': 'GET, HEAD' },
    });
    expect((await ask('OPTIONS', '/post', evil)).status).toBe(403);
    expect((await ask('OPTIONS', '/broken', good)).status).toBe(405);
  });

  it('[PR6] names what a path serves, and refuses in the shape of every other error', async () => {
    for (const [method, path, status] of [
      ['PUT', '/post', 405],
      ['GET', '/api/none', 404],
      ['POST', '/api/none', 404],
      ['OPTIONS', '/api/none', 404],
    ] as const) {
      const refused = await router(request(path, { method }));
      expect(refused.status).toBe(status);
      expect(refused.headers['content-type']).toContain('application/json');
      expect(JSON.parse(String(refused.body))).toMatchObject({
        error: { code: 'unknown_message', retryable: false },
      });
    }
    expect((await router(request('/post', { method: 'PUT' }))).headers['allow']).toBe('POST');
  });

  it('[RJ25] the page is shown in frames of the sites that are configured, and of no other', async () => {
    const own = await router(request('/health'));
    expect(own.headers['x-frame-options']).toBe('DENY');
    expect(own.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    const sites = ['https://app.example', 'https://b.example:8443'];
    const embedded = await createRouter({
      routes: { 'GET /': () => json(200, {}) },
      free: [],
      readers: {},
      otherwise: () => json(404, {}),
      contentSecurityPolicy: contentSecurityPolicy('https://a.example', sites),
      isEmbeddable: true,
      budgets: NOTHING_SPENT,
      onFault: (fault) => faults.push(fault),
    })(request('/'));
    expect(embedded.headers).not.toHaveProperty('x-frame-options');
    expect(embedded.headers['content-security-policy']).toMatch(
      /frame-ancestors https:\/\/app\.example https:\/\/b\.example:8443$/,
    );
  });

  it('[HT3] makes an error of the table of whatever is thrown, and tells no detail of a fault', async () => {
    expect((await router(request('/post', { method: 'POST' }))).status).toBe(429);
    const broken = await router(request('/broken'));
    expect(broken.status).toBe(500);
    expect(String(broken.body)).not.toContain('secret detail');
    expect(faults).toHaveLength(1);
  });

  it('[HT4] sends the security headers with everything', async () => {
    const { headers } = await router(request('/health'));
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    expect(headers['permissions-policy']).toContain(
      'camera=(self), microphone=(self), display-capture=(self)',
    );
    expect(headers['content-security-policy']).toContain("connect-src 'self' https: wss:");
  });
});

describe('descriptions', () => {
  it('[PR13] the capabilities of all routers are there for those who write a client, and may be cached', async () => {
    const capabilities = await serveCapabilities();
    const answer = await capabilities(request('/api/capabilities'));
    expect(answer.headers['cache-control']).toBe('public, max-age=300');
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({
      protocolVersions: SERVED_PROTOCOL_VERSIONS,
      rtpCapabilities: ROUTER_RTP_CAPABILITIES,
    });
    const headers = { 'if-none-match': answer.headers['etag'] ?? '' };
    expect((await capabilities(request('/api/capabilities', { headers }))).status).toBe(304);
    const several = { 'if-none-match': `"x", W/${headers['if-none-match']}` };
    expect((await capabilities(request('/api/capabilities', { headers: several }))).status).toBe(304);
  });

  it('[PR14] so are the schemas of all messages', async () => {
    const answer = await (await serveProtocolSchema())(request('/api/protocol.json'));
    expect(answer.headers).toMatchObject({
      'content-type': 'application/schema+json; charset=utf-8',
      'cache-control': 'public, max-age=300',
    });
    const { $defs } = JSON.parse(Buffer.from(answer.body).toString()) as { $defs: Record<string, unknown> };
    for (const name of Object.keys(CLIENT_REQUESTS)) {
      expect($defs).toHaveProperty([`request:${name}`]);
      expect($defs).toHaveProperty([`reply:${name}`]);
    }
    for (const name of Object.keys(EDGE_NOTICES)) expect($defs).toHaveProperty([`notice:${name}`]);
  });
});

describe('static files', () => {
  let root: string;
  let files: HttpHandler;
  const script = 'console.log("hello");\n'.repeat(200);
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'plenary-web-'));
    await mkdir(join(root, 'dist/assets'), { recursive: true });
    await writeFile(join(root, 'secret.txt'), 'secret');
    await writeFile(join(root, 'dist/index.html'), '<!doctype html>');
    await writeFile(join(root, 'dist/assets/app-1a2b.js'), script);
    files = await createStaticFiles(join(root, 'dist'));
  });
  afterAll(async () => rm(root, { recursive: true }));
  const get = async (path: string, headers: Record<string, string> = {}): Promise<HttpResponse> =>
    files(request(path, { headers }));

  it('[HT1] [HT6] gives the page for rooms, uncached, and hashed assets for ever', async () => {
    for (const path of ['/', '/r/daily', '/r/', '/R/Daily', '/index.html']) {
      const page = await get(path);
      expect(page.status).toBe(200);
      expect(page.headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
      });
    }
    const asset = await get('/assets/app-1a2b.js');
    expect(asset.headers['cache-control']).toContain('immutable');
    expect((await get('/assets/none.js')).status).toBe(404);
  });

  it('[HT1] compresses as the client accepts, and answers 304', async () => {
    const path = '/assets/app-1a2b.js';
    const brotli = await get(path, { 'accept-encoding': 'gzip, br' });
    expect(brotliDecompressSync(brotli.body).toString()).toBe(script);
    const gzip = await get(path, { 'accept-encoding': 'gzip, br;q=0' });
    expect(gunzipSync(gzip.body).toString()).toBe(script);
    expect(Buffer.from((await get(path)).body).toString()).toBe(script);
    expect((await get(path, { 'if-none-match': brotli.headers['etag'] ?? '' })).status).toBe(304);
  });

  it('[HT5] no path leads out of the directory', async () => {
    for (const path of [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/assets/../../secret.txt',
      '//secret.txt',
      '/..%5csecret.txt',
    ]) {
      expect((await get(path)).status).toBe(404);
    }
    expect((await get('/%ff')).status).toBe(400);
    expect((await get('/__proto__')).status).toBe(404);
  });
});

describe('client addresses', () => {
  const proxied = createAddressReader([
    { address: '10.0.0.0', prefixLength: 8, family: 'ipv4' },
    { address: 'fd00::', prefixLength: 8, family: 'ipv6' },
  ]);
  const behind = (forwardedFor?: string, forwarded?: string): string =>
    proxied({ remoteAddress: '10.1.1.1', forwardedFor, forwarded });

  it('[RL4] X-Forwarded-For counts only as far as proxies are trusted', () => {
    const none = createAddressReader([]);
    expect(none({ remoteAddress: '198.51.100.1', forwardedFor: '192.0.2.9' })).toBe('198.51.100.1');
    expect(behind('192.0.2.9')).toBe('192.0.2.9');
    expect(behind('1.1.1.1, 192.0.2.9, 10.2.2.2')).toBe('192.0.2.9');
    expect(proxied({ remoteAddress: '198.51.100.1', forwardedFor: '192.0.2.9' })).toBe('198.51.100.1');
    expect(behind('nonsense')).toBe('10.1.1.1');
    expect(behind()).toBe('10.1.1.1');
    expect(behind('')).toBe('10.1.1.1');
  });

  it('[EN6] reads hops with ports, in brackets, and mapped into IPv6', () => {
    for (const hop of ['1.2.3.4:5678', '::ffff:1.2.3.4', '[::ffff:1.2.3.4]:443', '"1.2.3.4:99"']) {
      expect(behind(hop)).toBe('1.2.3.4');
    }
    for (const hop of ['2001:db8::1', '[2001:db8::1]', '[2001:db8::1]:443', '2001:0db8:0:0::1']) {
      expect(behind(`6.6.6.6, ${hop}`)).toBe('2001:db8::1');
    }
    expect(behind('192.0.2.9:1, 10.2.2.2:80, [fd00::7]:443')).toBe('192.0.2.9');
    for (const hop of [
      'unknown',
      '_hidden',
      '1.2.3',
      '[1.2.3.4',
      '1.2.3.4:5:6',
      '[]',
      ',',
      '1.2.3.4 5.6.7.8',
    ]) {
      expect(behind(`6.6.6.6, ${hop}`)).toBe('10.1.1.1');
    }
  });

  it('[EN29] reads Forwarded where no proxy wrote X-Forwarded-For', () => {
    expect(behind(undefined, 'for=192.0.2.9')).toBe('192.0.2.9');
    expect(behind(undefined, 'for=6.6.6.6, FOR="[2001:db8::1]:4711";proto=https;by=10.0.0.1')).toBe(
      '2001:db8::1',
    );
    expect(behind(undefined, 'by=10.0.0.1;for=192.0.2.9:47011, for=10.9.9.9')).toBe('192.0.2.9');
    for (const hidden of ['for=_hidden', 'for=unknown', 'proto=https', 'for', ';;;', '"', 'for="[::1']) {
      expect(behind(undefined, `for=6.6.6.6, ${hidden}`)).toBe('10.1.1.1');
    }
    expect(behind('192.0.2.9', 'for=6.6.6.6')).toBe('192.0.2.9');
  });

  it.each([
    'for=192.0.2.9;host="a, for=6.6.6.6"',
    'for=192.0.2.9;host="a, for=6.6.6.6;b=\\""',
    'for=192.0.2.9;host="a, for=6.6.6.6;b=\\\\"',
    'host="a;for=6.6.6.6";for=192.0.2.9',
    'for="6.6.6.6, for=192.0.2.9;proto=https',
    'for="6.6.6.6, for=192.0.2.9;host="a, for=6.6.6.6, b\\""',
    '"""\\, for=192.0.2.9;by="[fd00::1]:443"',
  ])('[EN29] %s names 192.0.2.9, whatever the client had quoted or left open', (header) => {
    expect(behind(undefined, header)).toBe('192.0.2.9');
  });

  it('[EN30] the PROXY protocol counts from a trusted proxy', () => {
    expect(proxied({ remoteAddress: '10.1.1.1', proxied: '192.0.2.9' })).toBe('192.0.2.9');
    expect(proxied({ remoteAddress: '10.1.1.1', proxied: '10.2.2.2', forwardedFor: '192.0.2.9' })).toBe(
      '192.0.2.9',
    );
    expect(proxied({ remoteAddress: '198.51.100.1', proxied: '192.0.2.9' })).toBe('198.51.100.1');
  });

  it('[EN8] spells one address in one way', () => {
    expect(normalise('0000:0000:0000:0000:0000:ffff:7f00:0001')).toBe('127.0.0.1');
    expect(normalise('::ffff:127.0.0.1')).toBe('127.0.0.1');
    expect(normalise('2001:0db8:0000:0000:0000:0000:0000:0001')).toBe('2001:db8::1');
    expect(normalise('not an address')).toBe('not an address');
  });
});

describe('origins', () => {
  it('[HT7] allows this cluster, its own loopback, and what is configured beside them', () => {
    const edgeUrls = () => ['https://b.example'];
    const open = createOriginCheck({ allowed: undefined, publicUrl: 'https://a.example', edgeUrls });
    expect(['https://a.example', 'https://b.example', undefined].map(open)).toEqual([true, true, true]);
    expect(['https://c.example', 'http://localhost:5173', 'null', ''].map(open)).toEqual([
      false,
      false,
      false,
      false,
    ]);
    const local = createOriginCheck({ allowed: undefined, publicUrl: 'http://127.0.0.1:3000', edgeUrls });
    expect(['http://localhost:5173', 'http://localhost.evil.example', 'file://'].map(local)).toEqual([
      true,
      false,
      false,
    ]);
    const listed = createOriginCheck({
      allowed: new Set(['https://c.example']),
      publicUrl: 'https://a.example',
      edgeUrls,
    });
    expect(
      ['https://c.example', 'https://a.example', 'https://b.example', 'https://d.example'].map(listed),
    ).toEqual([true, true, true, false]);
    expect(createOriginCheck({ allowed: '*', publicUrl: 'https://a.example', edgeUrls })('null')).toBe(true);
  });
});

describe('guest tokens', () => {
  let isPatient = true;
  const handler = handleGuestToken({
    apiKeys: new Map([
      ['closed', [SECRET]],
      ['open', [SECRET]],
    ]),
    guests: { tenantId: tenant('open'), isOpen: (name) => name !== 'board' },
    takeGuestToken: () => isPatient,
    isOriginAllowed: (origin) => origin !== 'https://evil.example',
    edgeHints: () => [],
  });
  const post = async (body: string, headers = {}): Promise<HttpResponse> =>
    handler(request('/api/guest-token', { method: 'POST', body, headers }));

  it('[TK5] gives a token for the room that is asked for', async () => {
    const answer = await post(JSON.stringify({ roomId: 'daily', displayName: 'Ann' }));
    expect(answer.status).toBe(200);
    const { token } = JSON.parse(String(answer.body)) as { token: string };
    expect(JSON.parse(atob(token.split('.')[1] ?? ''))).toMatchObject({
      room: 'daily',
      name: 'Ann',
      role: 'speaker',
    });
  });

  it('[TN4] gives one of the tenant whose rooms are open to guests, and none for another room', async () => {
    const answer = await post(JSON.stringify({ roomId: 'daily', displayName: 'Ann' }));
    const { token } = JSON.parse(String(answer.body)) as { token: string };
    expect(JSON.parse(atob(token.split('.')[1] ?? ''))).toMatchObject({ iss: 'open' });
    const board = post(JSON.stringify({ roomId: 'board', displayName: 'Ann' }));
    await expect(board).rejects.toMatchObject({ code: 'guests_not_allowed' });
  });

  it('[TK17] refuses what does not fit, what is too large, other sites, and who asks too often', async () => {
    await expect(post('{}')).rejects.toMatchObject({ code: 'malformed_message' });
    await expect(post('{')).rejects.toMatchObject({ code: 'malformed_message' });
    await expect(post(' '.repeat(4_097))).rejects.toMatchObject({ code: 'message_too_large' });
    await expect(post('{}', { origin: 'https://evil.example' })).rejects.toMatchObject({
      code: 'forbidden',
      detail: { reason: 'origin' },
    });
    isPatient = false;
    await expect(post('{}')).rejects.toMatchObject({ code: 'rate_limited' });
  });
});

const WELL: ReadinessQuestion = {
  isStoreAvailable: () => true,
  storeTrouble: () => undefined,
  pubSubTrouble: () => undefined,
  isPubSubBetterElsewhere: () => false,
  isConsulMissed: () => false,
  consulTrouble: () => undefined,
  liveMediaNodes: () => 1,
  unusableLinks: () => undefined,
  isClockOff: () => false,
  isStopping: () => false,
  isDraining: () => false,
  isIdTaken: () => false,
};

describe('readiness', () => {
  it('[LC4] names every reason', () => {
    expect(reasonsAgainst(WELL)).toEqual([]);
    expect(
      reasonsAgainst({
        isStoreAvailable: () => false,
        storeTrouble: () => 'out_of_memory',
        pubSubTrouble: () => 'access_denied',
        isPubSubBetterElsewhere: () => true,
        isConsulMissed: () => true,
        consulTrouble: () => 'access_denied',
        liveMediaNodes: () => 0,
        unusableLinks: () => ['other_secret'] as const,
        isClockOff: () => true,
        isStopping: () => true,
        isDraining: () => true,
        isIdTaken: () => true,
      }),
    ).toEqual([
      'stopping',
      'draining',
      'store_unavailable',
      'pubsub_unavailable',
      'consul_unavailable',
      'no_media_node',
      'no_control_link',
      'clock_off',
      'id_taken',
    ]);
  });

  it('[HL53] is refused in public for a fault of pub/sub only while another edge has none', () => {
    const deaf: ReadinessQuestion = { ...WELL, pubSubTrouble: () => 'access_denied' };
    expect(reasonsAgainst(deaf)).toEqual(['pubsub_unavailable']);
    expect(isOffered(deaf)).toBe(true);
    expect(isOffered({ ...deaf, isPubSubBetterElsewhere: () => true })).toBe(false);
    expect(isOffered({ ...deaf, isStopping: () => true })).toBe(false);
    expect(isOffered({ ...WELL, isPubSubBetterElsewhere: () => true })).toBe(true);
  });
});
