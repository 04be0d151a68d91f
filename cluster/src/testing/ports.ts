/** Ports for the servers that tests start as processes of their own. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what the system deals out to outgoing connections: a port from there may be somebody's by the time a server starts
 * on it, or starts on it again. Local clusters (`deploy/local/cluster/ports.ts`) and media nodes of tests begin at 10000.
 */
const FIRST_PORT = 5_000;
const LAST_PORT = 9_999;
/** Taken by one process as a whole. Its last port is the lock. */
const BLOCK_SIZE = 100;
const LOOPBACK = '127.0.0.1';

let claimed: Promise<number> | undefined;
let dealt = 0;

/**
 * A port of 127.0.0.1 that nobody listens on, neither over TCP nor over UDP, and that no other process is given while this
 * one lives. Each call gives another one, until all of the block have had their turn.
 * @throws Error when there is none
 */
export async function freePort(): Promise<number> {
  claimed ??= claimBlock();
  const first = await claimed;
  for (let tried = 0; tried < BLOCK_SIZE - 1; tried++) {
    const port = first + (dealt++ % (BLOCK_SIZE - 1));
    if (await isFree(port)) return port;
  }
  throw new Error(`No port from ${first} to ${first + BLOCK_SIZE - 2} is free.`);
}

/** The lock ends with the process, however that ends. @returns the block's first port */
async function claimBlock(): Promise<number> {
  for (let first = FIRST_PORT; first < LAST_PORT; first += BLOCK_SIZE) {
    const lock = await listen(first + BLOCK_SIZE - 1);
    if (lock === undefined) continue;
    lock.unref();
    return first;
  }
  throw new Error(`No block of ${BLOCK_SIZE} ports from ${FIRST_PORT} to ${LAST_PORT} is free.`);
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
