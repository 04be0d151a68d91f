/** Draining processes in a running meeting: nobody in it may notice. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { endMediaLinks, readRtpTimestamp } from '@plenary/loadtest/bots';
import { SpanningCrowd } from '@plenary/loadtest/spanning';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { drain, undrain } from './harness/drain.ts';
import { isNothing, leftOver } from './harness/left-over.ts';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';
import { startWatching, stopWatching } from './harness/watch.ts';

describe('a running meeting', () => {
  let cluster: LocalCluster;
  let browser: Browser;

  beforeAll(async () => {
    // Packing is off, so that two people are on two nodes.
    cluster = await startLocalCluster({
      mediaNodes: 3,
      workers: 1,
      readyTimeoutMs: 180_000,
      datacenters: ['gra'],
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({ env: { PLENARY_PACKING_LIMIT: '0', PLENARY_ROOM_PEERS_PER_NODE: '1' } }),
    });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await endMediaLinks();
    await browser.close();
    await cluster.stop();
  });

  async function open(roomId: string, name: string, edge = 0): Promise<Participant> {
    return Participant.open(browser, cluster.edges[edge]?.publicUrl ?? '', roomId, name);
  }

  async function nodeOf(person: Participant): Promise<RunningMediaNode> {
    const nodeId = await person.mediaNodeId();
    const node = cluster.mediaNodes.find(({ id }) => id === nodeId);
    if (node === undefined) throw new Error(`${person.name} is on no node`);
    return node;
  }

  const lostMedia = async (): Promise<number> => {
    const readings = await Promise.all(cluster.edges.map(({ operatorUrl }) => readMetrics(operatorUrl)));
    return readings.reduce((sum, reading) => sum + (reading.get('plenary_edge_media_lost_total') ?? 0), 0);
  };

  it('[DR3] [DR4] continues while the media node of one of its people is drained', async () => {
    const [ann, bob] = [await open('drain', 'Ann'), await open('drain', 'Bob', 1)];
    await ann.join();
    await bob.join();
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    const [before, others] = [await nodeOf(ann), await nodeOf(bob)];
    expect(before.id).not.toBe(others.id);
    const watch = async (): Promise<unknown> =>
      Promise.all([startWatching(ann.page, 'Bob'), startWatching(bob.page, 'Ann')]);
    await watch();
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    const usual = new Map([
      [ann, await stopWatching(ann.page)],
      [bob, await stopWatching(bob.page)],
    ]);
    await watch();

    expect(await drain(before, cluster.adminToken)).toMatchObject({ left: 0, gone: 1, cut: 0 });
    const after = await nodeOf(ann);
    expect(after.id).not.toBe(before.id);
    expect((await nodeOf(bob)).id).toBe(others.id);
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);

    for (const person of [ann, bob]) {
      const watched = await stopWatching(person.page);
      const gapMs = watched.longestGapMs.toFixed(0);
      const usualGapMs = usual.get(person)?.longestGapMs.toFixed(0);
      console.log(`${person.name} saw no new frame for ${gapMs} ms at most; before, ${usualGapMs} ms`);
      expect(watched).toMatchObject({ rosterSizes: [2], mediaStates: ['connected'], sameElements: true });
      expect(person.errors).toEqual([]);
    }
    expect(await lostMedia()).toBe(0);
    const left = await readMetrics(before.operatorUrl);
    for (const what of ['peers', 'routers', 'transports', 'producers', 'consumers', 'pipes']) {
      await until(
        `the drained node has no ${what}`,
        async () => (await readMetrics(before.operatorUrl)).get(`plenary_media_${what}`),
        (count) => count === 0,
      );
    }
    expect(left.get('plenary_media_peers')).toBe(0);
    await undrain(before, cluster.adminToken);
    await Promise.all([ann.leave(), bob.leave()]);
    await until('everything is freed', () => leftOver(cluster), isNothing);
    await Promise.all([ann.close(), bob.close()]);
  });

  it('[DR3] [DR4] [DR5] loses no packet while the nodes and edges of a publisher and a viewer are drained', async () => {
    const crowd = new SpanningCrowd(cluster);
    const sent: number[] = [];
    const got = new Set<number>();
    const publisher = await crowd.join('drain-bots', cluster.mediaNodes, { canPublish: true });
    const options = { intervalMs: 20, onSend: (packet: Buffer) => sent.push(readRtpTimestamp(packet)) };
    await publisher.publish('video', options);
    const others = cluster.mediaNodes.filter(({ id }) => id !== publisher.mediaNodeId);
    const viewer = await crowd.join('drain-bots', others, {
      onPacket: (_, packet) => got.add(readRtpTimestamp(packet)),
    });
    await until(
      'media',
      () => got.size,
      (count) => count > 0,
    );
    const since = sent.findIndex((timestamp) => got.has(timestamp));
    for (const bot of [publisher, viewer]) {
      const before = cluster.mediaNodes.find(({ id }) => id === bot.mediaNodeId);
      if (before === undefined) throw new Error('the bot is on a node');
      // The bot that was moved first may have come to this node.
      const gone = [publisher, viewer].filter(({ mediaNodeId }) => mediaNodeId === before.id).length;
      expect(await drain(before, cluster.adminToken)).toMatchObject({ left: 0, gone, cut: 0 });
      expect(bot.mediaNodeId).not.toBe(before.id);
      await undrain(before, cluster.adminToken);
    }
    for (const edge of cluster.edges) {
      expect(await drain(edge, cluster.adminToken)).toMatchObject({ left: 0, cut: 0 });
      await undrain(edge, cluster.adminToken);
      // Only a bot that has an edge can post.
      for (const bot of [publisher, viewer]) await bot.postChat(`after ${edge.id}`);
    }
    const all = sent.slice(since);
    await until(
      'the viewer has received every packet',
      () => all.filter((timestamp) => !got.has(timestamp)).length,
      (missing) => missing === 0,
    );
    expect([...publisher.problems, ...viewer.problems]).toEqual([]);
    await crowd.leave();
    await until('everything is freed', () => leftOver(cluster), isNothing);
  });

  it('[DR3] [DR5] continues while every process of the cluster is drained and restarted, one after the other', async () => {
    const people = [await open('rolling', 'Ann'), await open('rolling', 'Bob', 1)];
    for (const person of people) await person.join();
    await Promise.all(people.map((person) => person.untilSeesAndHears()));
    for (const { page } of people) await page.getByTestId('chat-button').click();
    const [ann, bob] = people;
    if (ann === undefined || bob === undefined) throw new Error('there are two people');
    await Promise.all([startWatching(ann.page, 'Bob'), startWatching(bob.page, 'Ann')]);

    const said: string[] = [];
    const say = async (person: Participant, text: string): Promise<void> => {
      said.push(text);
      await person.page.getByTestId('chat-input').fill(text);
      await person.page.getByTestId('chat-input').press('Enter');
    };
    for (const node of [...cluster.edges, ...cluster.mediaNodes]) {
      const draining = drain(node, cluster.adminToken);
      for (const person of people) await say(person, `${person.name} while ${node.id} drains`);
      expect(await draining).toMatchObject({ left: 0, cut: 0 });
      await node.restart();
      for (const person of people) await person.untilJoined();
      for (const person of people) await say(person, `${person.name} after ${node.id}`);
      await Promise.all(people.map((person) => person.untilSeesAndHears(5)));
    }

    for (const person of people) {
      await until(
        `${person.name} has every message once`,
        async () => (await person.page.getByTestId('chat-message').allInnerTexts()).join('\n'),
        (shown) => said.every((text) => shown.split(text).length === 2),
      );
      const { rosterSizes, mediaStates, sameElements, longestGapMs } = await stopWatching(person.page);
      console.log(`${person.name} saw no new frame for ${longestGapMs.toFixed(0)} ms at most`);
      expect({ rosterSizes, mediaStates, sameElements }).toEqual({
        rosterSizes: [2],
        mediaStates: ['connected'],
        sameElements: true,
      });
      expect(person.errors).toEqual([]);
    }
    expect(await lostMedia()).toBe(0);
    await Promise.all(people.map((person) => person.leave()));
    await until('everything is freed', () => leftOver(cluster), isNothing);
    await Promise.all(people.map((person) => person.close()));
  }, 300_000);
});
