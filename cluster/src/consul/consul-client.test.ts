import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { ConsulClient } from './consul-client.ts';
import { consulAddressSetting } from './settings.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

describe('the client of Consul', () => {
  const servers: Server[] = [];
  const clients: ConsulClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function clientOf(answer: RequestListener, host = '127.0.0.1'): Promise<ConsulClient> {
    const server = createServer(answer);
    servers.push(server);
    server.listen(0, host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const shown = host.includes(':') ? `[${host}]` : host;
    const client = new ConsulClient({
      address: consulAddressSetting.parse(`${shown}:${address.port}`),
      token: 'the-token',
    });
    clients.push(client);
    return client;
  }

  it('[CO7] sends the token with every request', async () => {
    const seen: unknown[] = [];
    const client = await clientOf((request, response) => {
      seen.push(request.headers['x-consul-token']);
      response.writeHead(200, { 'content-type': 'application/json' }).end('["gra"]');
    });
    expect(await client.datacenters()).toEqual(['gra']);
    expect(seen).toEqual(['the-token']);
  });

  it.skipIf(!hasIpv6)('[CO7] reaches an agent over IPv6', async () => {
    const client = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('["gra"]');
    }, '::1');
    expect(await client.datacenters()).toEqual(['gra']);
  });

  it.each([
    ['a page', '<html>sign in</html>', 'text/html'],
    ['nothing', '', 'application/json'],
    ['no list', '{}', 'application/json'],
    ['a number', '5', 'application/json'],
    ['null', 'null', 'application/json'],
    ['entries of another shape', '[{"Service":null,"Checks":null}]', 'application/json'],
    ['texts of another form', '["\\u202e\\n"]', 'application/json'],
    ['what is cut off', '[{"Service":', 'application/json'],
  ])(
    '[CO21] a server that answers %s in place of Consul counts as an unreachable store',
    async (_, body, type) => {
      const client = await clientOf((_request, response) => {
        response.writeHead(200, { 'content-type': type, 'x-consul-index': '7' }).end(body);
      });
      const { signal } = new AbortController();
      for (const asked of [
        client.datacenter(),
        client.datacenters(),
        client.createSession('check'),
        client.liveSessions(),
        client.serviceInstances({ service: 'media-node', dc: 'gra', index: 0 }, signal),
      ]) {
        await expect(asked).rejects.toMatchObject({ code: 'store_unavailable' });
      }
    },
  );

  it('[CO21] [CO25] an agent that refuses or fails counts as an unreachable store; an insufficient token is reported', async () => {
    const answers = [
      { status: 500, text: 'No cluster leader', says: /No cluster leader/ },
      { status: 403, text: 'Permission denied', says: /refuses the token/ },
    ];
    for (const { status, text, says } of answers) {
      const client = await clientOf((_request, response) => response.writeHead(status).end(text));
      const asked = client.datacenters();
      await expect(asked).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(asked).rejects.toThrow(says);
    }
  });

  it.each([
    [500, 'CheckID "x" does not have associated TTL'],
    [404, 'Unknown check ID "x". Ensure that the check ID is passed, not the check name.'],
  ])('[CO20] a check that the agent has forgotten is recognised (%i %s)', async (status, text) => {
    const client = await clientOf((_request, response) => response.writeHead(status).end(text));
    expect(await client.renewCheck('x', 'passing')).toBe(false);
  });

  it('[CO21] an answer that Consul cannot have given is an error', async () => {
    const client = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"hello":1}');
    });
    await expect(client.datacenters()).rejects.toThrow();
  });
});
