/** An edge whose host has a wrong clock. */
import { HostClock } from '@plenary/cluster/testing/host-clock';
import { io } from 'socket.io-client';
import { afterEach, describe, expect, it } from 'vitest';
import { EdgeProcess } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
let hostClock: HostClock | undefined;
afterEach(async () => {
  await cluster.stop();
  await hostClock?.remove();
  hostClock = undefined;
});

const reasons = async (edge: EdgeProcess): Promise<string> =>
  (await fetch(`${edge.operatorUrl}/ready`)).text();

describe('an edge whose clock is off by a minute', () => {
  it.each([60, -60])('[HL47] %s s: is not ready, says so, and sends who comes elsewhere', async (seconds) => {
    cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
    hostClock = await HostClock.create();
    await hostClock.jump(seconds);
    const wrong = await EdgeProcess.start({
      id: 'edge-2',
      settings: { ...cluster.redis.settings, ...hostClock.env },
    });
    cluster.edges.push(wrong);
    // The only one: it knows the other edge and has its link by then.
    await waitFor('the reason', async () => (await reasons(wrong)).includes('"reasons":["clock_off"]'));
    expect(await wrong.status('/ready')).toBe(503);
    // An answer of Redis that came late tells less exactly.
    await waitFor('the offset', async () => {
      const offset = await wrong.metric('plenary_edge_clock_offset_seconds');
      return Math.abs(offset - seconds) < 2;
    });
    expect(await wrong.logged('the clock of this host is')).toMatch(
      /the clock of this host is \d+(\.\d)? s (ahead of|behind) that of Redis/,
    );
    const client = io(wrong.url, { transports: ['websocket'], reconnection: false });
    await new Promise((resolve) => {
      client.once('connect_error', resolve);
    });
    await cluster.edge(0).ready();
    await hostClock.jump(0);
    await waitFor('it to be ready', async () => (await wrong.status('/ready')) === 200);
  });
});
