import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { LocalDatacenters, whyNoDatacenters } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Distance } from './distance.ts';
import { NO_IMPAIRMENT } from './impairment.ts';
import type { Impairment } from './impairment.ts';

const fault = await whyNoDatacenters();
const why = fault === undefined ? '' : ` – skipped: ${fault}`;

const run = promisify(execFile);
/** Ports that nothing else uses in the namespaces. */
const PORTS = { client: 4_001, echo: 4_002, http: 4_003 };

/** Returns every datagram with the address and port that it came from; greets over TCP. */
const ECHO = `
  const [address, control] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (packet, { address: from, port }) => socket.send(from + ':' + port + ' ' + packet, port, from));
  socket.bind(${PORTS.echo}, address, () =>
    require('node:net').createServer((client) => client.end('well')).listen(${PORTS.http}, control, () => console.log('ready')));`;

/** Sends datagrams one by one after a marker that is repeated until it is answered, and prints the answers. */
const CLIENT = `
  const [address, target, count] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  const answers = [];
  let last;
  socket.on('message', (packet, { address: from, port }) => {
    if (!packet.toString().endsWith(' end')) return answers.push(from + ':' + port + ' ' + packet);
    clearInterval(last);
    socket.close(() => console.log(JSON.stringify(answers)));
    socket.removeAllListeners('message');
  });
  socket.bind(${PORTS.client}, address, () => {
    for (let index = 0; index < Number(count); index += 1) socket.send(String(index), ${PORTS.echo}, target);
    last = setInterval(() => socket.send('end', ${PORTS.echo}, target), 20);
  });`;

describe.skipIf(fault !== undefined)(`distance between datacenters${why}`, () => {
  const cleanups: (() => Promise<void>)[] = [];
  let datacenters: LocalDatacenters;
  beforeEach(async () => {
    datacenters = await LocalDatacenters.create(
      [
        { name: 'gra', mediaNodes: 1 },
        { name: 'sbg', mediaNodes: 1 },
      ],
      { apart: true },
    );
    cleanups.push(() => datacenters.remove());
    const { namespace, listenIp, host } = placeOf(1);
    const echo = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', ECHO, listenIp, host]);
    cleanups.push(async () => {
      const ended = once(echo, 'exit');
      echo.kill('SIGKILL');
      await ended;
    });
    await once(echo.stdout, 'data');
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  function placeOf(index: number): { namespace: string; listenIp: string; host: string } {
    const { namespace = '', listenIp = '', host = '' } = datacenters.mediaNode(index);
    return { namespace, listenIp, host };
  }

  async function startDistance(impairment: Impairment, seed = 1): Promise<Distance> {
    const distance = await Distance.start({
      namespace: datacenters.between ?? '',
      udp: [
        { host: placeOf(0).listenIp, port: PORTS.client },
        { host: placeOf(1).listenIp, port: PORTS.echo },
      ],
      tcp: [{ host: placeOf(1).host, port: PORTS.http }],
      impairment,
      seed,
    });
    cleanups.push(() => distance.close());
    return distance;
  }

  async function answersTo(count: number): Promise<unknown> {
    const [client, echo] = [placeOf(0), placeOf(1)];
    const args = [client.listenIp, echo.listenIp, String(count)];
    const program = [process.execPath, '-e', CLIENT, ...args];
    const { stdout } = await run('ip', ['netns', 'exec', client.namespace, ...program]);
    return JSON.parse(stdout);
  }

  it('carries UDP in both directions, in order, and hides itself from both sides', async () => {
    const distance = await startDistance({ ...NO_IMPAIRMENT, delayMs: 5, jitterMs: 5 });
    const [client, echo] = [placeOf(0).listenIp, placeOf(1).listenIp];
    expect(await answersTo(20)).toEqual(
      Array.from({ length: 20 }, (_, index) => `${echo}:${PORTS.echo} ${client}:${PORTS.client} ${index}`),
    );
    expect(await distance.counts()).toMatchObject({ lost: 0, overflowed: 0, failed: 0 });
  });

  it('loses packets by its seed, and by a new rate from then on', async () => {
    const half = { ...NO_IMPAIRMENT, lossRate: 0.5 };
    const answersUnder = async (seed: number): Promise<unknown> => {
      const distance = await startDistance(half, seed);
      const answers = await answersTo(40);
      await distance.close();
      return answers;
    };
    const answers = await answersUnder(7);
    expect(answers).not.toHaveLength(40);
    expect(await answersUnder(7)).toEqual(answers);
    expect(await answersUnder(8)).not.toEqual(answers);
    const distance = await startDistance({ ...NO_IMPAIRMENT, lossRate: 1 });
    await distance.setImpairment(NO_IMPAIRMENT);
    expect(await answersTo(40)).toHaveLength(40);
    expect(await distance.counts()).toMatchObject({ lost: 0 });
  });

  it('impairs each direction by its own settings', async () => {
    const distance = await startDistance({ ...NO_IMPAIRMENT, lossRate: 1 });
    const [client, echo] = [placeOf(0).listenIp, placeOf(1).listenIp];
    const half = { ...NO_IMPAIRMENT, lossRate: 0.5 };
    await distance.setWays([
      { from: [client], to: [echo], impairment: half },
      { from: [echo], to: [client], impairment: NO_IMPAIRMENT },
    ]);
    const answers = z.array(z.string()).parse(await answersTo(40));
    const { lost, forwarded } = await distance.counts();
    expect(answers.length).toBeLessThan(40);
    // Every packet that arrived was answered: half of the answers would be lost if the way back lost packets too.
    expect(lost).toBeGreaterThanOrEqual(40 - answers.length);
    expect(forwarded).toBeGreaterThanOrEqual(2 * answers.length);
    await distance.setWays([]);
    await distance.setImpairment(NO_IMPAIRMENT);
    expect(await answersTo(40)).toHaveLength(40);
  });

  it('carries TCP to the process that owns the address', async () => {
    await startDistance({ ...NO_IMPAIRMENT, delayMs: 5 });
    const script = `require('node:net').connect(${PORTS.http}, '${placeOf(1).host}').pipe(process.stdout)`;
    const { stdout } = await run('ip', [
      'netns',
      'exec',
      placeOf(0).namespace,
      process.execPath,
      '-e',
      script,
    ]);
    expect(stdout).toBe('well');
  });

  it('reports when it cannot start in its namespace', async () => {
    await startDistance(NO_IMPAIRMENT);
    await expect(startDistance(NO_IMPAIRMENT)).rejects.toThrow(/has ended: bind EADDRINUSE/);
  });
});
