/**
 * A media node that announces an address which nobody reaches, as when an operator mistypes it or a firewall is in the way:
 * real browsers, and a relay that stands in for the firewall's being opened.
 */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** Of this machine, and nobody listens there. */
const UNREACHED = '127.0.0.99';

const READINESS = z.object({ reasons: z.array(z.string()) });

async function reasonsOf(node: RunningMediaNode): Promise<readonly string[]> {
  const answer = await fetch(`${node.operatorUrl}/ready`);
  return READINESS.parse(await answer.json()).reasons;
}

/** Carries UDP that comes to a port of {@link UNREACHED} to the same port of 127.0.0.1, and back. */
async function openPath(port: number): Promise<{ close: () => void }> {
  const outside = createSocket('udp4');
  const inside = new Map<string, Socket>();
  outside.on('message', (packet, from) => {
    const key = `${from.address} ${from.port}`;
    let socket = inside.get(key);
    if (socket === undefined) {
      socket = createSocket('udp4');
      socket.on('message', (answer) => {
        outside.send(answer, from.port, from.address);
      });
      inside.set(key, socket);
    }
    socket.send(packet, port, '127.0.0.1');
  });
  await new Promise<void>((resolve, reject) => {
    outside.once('error', reject);
    outside.bind(port, UNREACHED, resolve);
  });
  return {
    close: () => {
      outside.close();
      for (const socket of inside.values()) socket.close();
    },
  };
}

describe('a media node that nobody reaches', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  const people: Participant[] = [];
  let path: { close: () => void } | undefined;

  beforeAll(async () => {
    // People of the edge's datacenter are placed on its node, so that the first ones come to the one that nobody reaches.
    cluster = await startLocalCluster({
      edges: 1,
      mediaNodes: 2,
      workers: 1,
      mediaNode: (index) => (index === 0 ? { announcedAddress: UNREACHED, listenIp: '127.0.0.1' } : {}),
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    browser = await launchChromium();
  });
  afterAll(async () => {
    path?.close();
    for (const person of people) await person.close();
    await browser.close();
    await cluster.stop();
  });

  async function join(roomId: string, name: string): Promise<Participant> {
    const [edge] = cluster.edges;
    if (edge === undefined) throw new Error('the cluster has an edge');
    const person = await Participant.open(browser, edge.publicUrl, roomId, name);
    people.push(person);
    await person.join();
    return person;
  }

  it('[HL7] is left by those who came to it, passed over for others, and used again when it can be reached', async () => {
    const [unreached, other] = cluster.mediaNodes;
    if (unreached === undefined || other === undefined) throw new Error('the cluster has two media nodes');
    const ann = await join('first', 'Ann');
    const bob = await join('first', 'Bob');
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect([await ann.mediaNodeId(), await bob.mediaNodeId()]).toEqual([other.id, other.id]);
    await until(
      'the node to say that nobody reaches it',
      () => reasonsOf(unreached),
      (reasons) => reasons.includes('media_unreached'),
    );
    const missed = async (): Promise<number | undefined> =>
      (await readMetrics(unreached.operatorUrl)).get('plenary_media_unreached_peers_total');
    const before = await missed();
    const cem = await join('second', 'Cem');
    expect(await cem.mediaNodeId()).toBe(other.id);
    expect(await missed()).toBe(before);

    path = await openPath(unreached.portSlice.first);
    await until(
      'the node to take people again',
      () => reasonsOf(unreached),
      (reasons) => reasons.length === 0,
      60_000,
    );
    // The edge reads the registry once a second.
    let room = 0;
    const dan = await until(
      'somebody to be placed on it',
      async () => join(`room-${(room += 1)}`, 'Dan'),
      async (person) => (await person.mediaNodeId()) === unreached.id,
    );
    const eve = await join(`room-${room}`, 'Eve');
    await Promise.all([dan.untilSeesAndHears(), eve.untilSeesAndHears()]);
    expect([await dan.mediaNodeId(), await eve.mediaNodeId()]).toEqual([unreached.id, unreached.id]);
  });
});
