/** Ports for the servers and nodes that tests start. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what the system deals out to outgoing connections: a port from there may be somebody's by the time a server starts
 * on it, or starts on it again. Local clusters (`deploy/local/cluster/ports.ts`) have theirs from 10000.
 */
const SERVERS: BlockRange = { first: 5_000, last: 9_999, size: 100 };
const LOOPBACK = '127.0.0.1';

/** Blocks of `size` ports from `first` to `last`. One process takes a whole one; its last port is the lock. */
export interface BlockRange {
  readonly first: number;
  readonly last: number;
  readonly size: number;
}

let claimed: Promise<number> | undefined;
let dealt = 0;

/**
 * A port of 127.0.0.1 that nobody listens on, neither over TCP nor over UDP, and that no other process is given while this
 * one lives. Each call gives another one, until all of the block have had their turn.
 * @throws Error when there is none
 */
export async function freePort(): Promise<number> {
  claimed ??= claimBlock(SERVERS);
  const first = await claimed;
  const ports = SERVERS.size - 1;
  for (let tried = 0; tried < ports; tried++) {
    const port = first + (dealt++ % ports);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port from ${first} to ${first + ports - 1} is free.`);
}

/**
 * A block that no other process is given while this one lives, however that ends.
 * @returns the block's first port
 * @throws Error when all of the range are taken
 */
export async function claimBlock({ first, last, size }: BlockRange): Promise<number> {
  for (let block = first; block + size - 1 <= last; block += size) {
    const lock = await listen(block + size - 1);
    if (lock === undefined) continue;
    lock.unref();
    return block;
  }
  throw new Error(`No block of ${size} ports from ${first} to ${last} is free.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  const isFreeForUdp = await bindsUdp(port);
  server.close();
  await once(server, 'close');
  return isFreeForUdp;
}

function listen(port: number): Promise<ReturnType<typeof createServer> | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => resolve(server));
  });
}

function bindsUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close(() => resolve(false));
    });
    socket.bind({ port, address: LOOPBACK, exclusive: true }, () => {
      socket.close(() => resolve(true));
    });
  });
}
