import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, describe, expect, it } from 'vitest';
import { LINK_HEADER_BYTES, LocalDatacenters, whyNoDatacenters } from './datacenters.ts';

const fault = await whyNoDatacenters();
const why = fault === undefined ? '' : ` – skipped: ${fault}`;

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function create(names: readonly string[], apart = false): Promise<LocalDatacenters> {
  const sizes = names.map((name) => ({ name, mediaNodes: 1 }));
  const datacenters = await LocalDatacenters.create(sizes, { apart });
  cleanups.push(() => datacenters.remove());
  return datacenters;
}

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** Sends a datagram from a media node's place to another one's address. */
function send(datacenters: LocalDatacenters, from: number, to: number, payload: string): void {
  const { namespace = '', listenIp = '' } = datacenters.mediaNode(from);
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.bind({ address: '${listenIp}' }, () =>
      socket.send('${payload}', 9, '${datacenters.mediaNode(to).listenIp ?? ''}', () => socket.close()));`;
  execFileSync('ip', ['netns', 'exec', namespace, process.execPath, '-e', script]);
}

/** A busy kernel delivers a packet a moment after its sender has ended. */
async function untilSent(datacenters: LocalDatacenters, from: string, to: string): Promise<void> {
  await waitFor(`a packet from ${from} to ${to}`, async () => (await datacenters.sent(from, to)).packets > 0);
}

/** How long a connection waits where an answer is due. A cable just set up may lose the first packets: TCP asks again after 1, 3 and 7 s. */
const ANSWER_TIMEOUT_MS = 15_000;

/** How long nothing may arrive over a cut path, in milliseconds. */
const SILENCE_MS = 1_000;

/** The result of a connection to a port without a listener: a refusal, if that machine can be reached. */
function whatAnswers(host: string, timeoutMs = ANSWER_TIMEOUT_MS): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 9, timeout: timeoutMs });
    const end = (outcome: string | undefined): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('timeout', () => end('nothing'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code));
  });
}

describe.skipIf(fault !== undefined)(`datacenters of this machine${why}`, () => {
  it.each([
    ['next to each other', false],
    ['apart', true],
  ])('count what media sends from one to another, with headers, and nothing else: %s', async (_, apart) => {
    const datacenters = await create(['gra', 'sbg', 'waw'], apart);
    send(datacenters, 0, 1, 'hello');
    await untilSent(datacenters, 'gra', 'sbg');
    expect(await datacenters.sent('gra', 'sbg')).toEqual({ bytes: 5 + LINK_HEADER_BYTES, packets: 1 });
    expect(await datacenters.sent('gra', 'waw')).toEqual({ bytes: 0, packets: 0 });
    expect(await datacenters.sent('waw', 'gra')).toEqual({ bytes: 0, packets: 0 });
  });

  it.each([
    ['next to each other', false],
    ['apart', true],
  ])('can be cut off, from the host too, and are as before once mended: %s', async (_, apart) => {
    const datacenters = await create(['gra', 'sbg'], apart);
    const { host } = datacenters.place('sbg');
    expect(await whatAnswers(host)).toBe('ECONNREFUSED');
    await datacenters.cut('sbg');
    await datacenters.cut('sbg');
    expect(await whatAnswers(host, SILENCE_MS)).toBe('nothing');
    await datacenters.mend('sbg');
    expect(await whatAnswers(host)).toBe('ECONNREFUSED');
    send(datacenters, 1, 0, 'hello');
    await untilSent(datacenters, 'sbg', 'gra');
    expect(await datacenters.sent('sbg', 'gra')).toMatchObject({ packets: 1 });
  });

  it('can be reached from another address of this machine, and then from its own again', async () => {
    const datacenters = await create(['gra'], true);
    const { host } = datacenters.place('gra');
    const { listenIp = '' } = datacenters.mediaNode(0);
    const from = () => /src (\S+)/.exec(ip('route', 'get', listenIp))?.[1];
    expect(from()).toBe(datacenters.hostAddress);
    await datacenters.moveHost();
    expect(await whatAnswers(host)).toBe('ECONNREFUSED');
    expect(await whatAnswers(listenIp)).toBe('ECONNREFUSED');
    expect(from()).not.toBe(datacenters.hostAddress);
    await datacenters.moveHostBack();
    expect(await whatAnswers(listenIp)).toBe('ECONNREFUSED');
    expect(from()).toBe(datacenters.hostAddress);
  });

  it('can be kept from answering the others, or the host', async () => {
    const datacenters = await create(['gra', 'sbg'], true);
    const { host } = datacenters.place('sbg');
    await datacenters.silence('sbg', 'others');
    expect(await whatAnswers(host)).toBe('ECONNREFUSED');
    send(datacenters, 1, 0, 'hello');
    expect(await datacenters.sent('sbg', 'gra')).toMatchObject({ packets: 0 });
    await datacenters.endSilence('sbg', 'others');
    send(datacenters, 1, 0, 'hello');
    await untilSent(datacenters, 'sbg', 'gra');
    expect(await datacenters.sent('sbg', 'gra')).toMatchObject({ packets: 1 });
    await datacenters.silence('sbg', 'host');
    expect(await whatAnswers(host, SILENCE_MS)).toBe('nothing');
    await datacenters.endSilence('sbg', 'host');
    expect(await whatAnswers(host)).toBe('ECONNREFUSED');
  });

  it('leave nothing behind', async () => {
    const datacenters = await create(['gone', 'away'], true);
    const names = [datacenters.mediaNode(0).namespace, datacenters.between];
    for (const name of names) expect(ip('netns', 'list')).toContain(name);
    await datacenters.remove();
    for (const name of names) expect(ip('netns', 'list')).not.toContain(name);
    expect(ip('link', 'show')).not.toContain(`${names[0]?.split('-')[0] ?? ''}-`);
  });

  it('that a killed process left are removed by the next one that makes some', async () => {
    const module = new URL('datacenters.ts', import.meta.url).href;
    const script = `
      const { LocalDatacenters } = await import('${module}');
      const sizes = [{ name: 'left', mediaNodes: 1 }, { name: 'over', mediaNodes: 1 }];
      const datacenters = await LocalDatacenters.create(sizes, { apart: true });
      console.log(datacenters.mediaNode(0).namespace);
      setInterval(() => {}, 1_000);`;
    const maker = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(maker.stdout, 'data')) as [Buffer];
    const namespace = line.toString().trim();
    maker.kill('SIGKILL');
    await once(maker, 'exit');
    expect(ip('netns', 'list')).toContain(namespace);
    await create(['gra']);
    expect(ip('netns', 'list')).not.toContain(namespace);
  });

  it('are not taken from a process that lives', async () => {
    const [one, other] = [await create(['gra']), await create(['gra'])];
    expect(other.mediaNode(0).namespace).not.toBe(one.mediaNode(0).namespace);
    expect(ip('netns', 'list')).toContain(one.mediaNode(0).namespace);
  });

  it('say that there is no such link or place', async () => {
    const datacenters = await create(['gra', 'sbg']);
    await expect(datacenters.sent('rbx', 'gra')).rejects.toThrow(/no datacenter rbx/);
    expect(() => datacenters.mediaNode(2)).toThrow(/2 media nodes, no number 2/);
  });
});
