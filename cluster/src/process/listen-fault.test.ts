import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listenFault, probeListening } from './listen-fault.ts';

const SETTINGS = { port: 'PLENARY_PORT', host: 'PLENARY_HOST' } as const;

async function faultOf(port: number, host: string): Promise<string | undefined> {
  const error = await probeListening(port, host);
  return error === undefined ? undefined : listenFault(SETTINGS, port, host, error);
}

describe('[CF10] why a server cannot listen', () => {
  it('names the port if another process has it, and nothing if it is free', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    expect(await faultOf(port, '127.0.0.1')).toBe(
      `PLENARY_PORT ${port} on 127.0.0.1: is taken by another process`,
    );
    other.close();
    await once(other, 'close');
    expect(await faultOf(port, '127.0.0.1')).toBeUndefined();
  });

  it('names the host if this machine does not have the address', async () => {
    expect(await faultOf(3_000, '192.0.2.1')).toMatch(
      /^PLENARY_HOST 192\.0\.2\.1: is no address of an interface/,
    );
    expect(await faultOf(3_000, 'nobody.invalid')).toMatch(/^PLENARY_HOST nobody\.invalid: is a name/);
  });

  it('says how to allow a port that the user may not bind', () => {
    const error = Object.assign(new Error('listen EACCES'), { code: 'EACCES' });
    expect(listenFault(SETTINGS, 443, '0.0.0.0', error)).toMatch(
      /^PLENARY_PORT 443 on 0\.0\.0\.0: .*ip_unprivileged_port_start=443/,
    );
  });
});
