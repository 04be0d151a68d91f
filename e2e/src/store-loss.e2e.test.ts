/** A store that loses everything in the middle of a meeting: nobody may notice. */
import { isDeepStrictEqual } from 'node:util';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { Redis } from 'ioredis';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { isNothing, leftOver } from './harness/left-over.ts';
import { readMetrics } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** Records each tile that is removed, from within the page: polling would miss a tile that only flickers. */
async function watchTiles({ page }: Participant): Promise<() => Promise<readonly string[]>> {
  const gone = await page.evaluateHandle(() => {
    const names: string[] = [];
    const tilesIn = (node: Node): string[] =>
      node instanceof Element
        ? [node, ...node.querySelectorAll('*')].flatMap((element) =>
            element.getAttribute('data-testid') === 'tile'
              ? [element.getAttribute('data-peer-name') ?? '']
              : [],
          )
        : [];
    new MutationObserver((changes) => {
      for (const { removedNodes } of changes) for (const node of removedNodes) names.push(...tilesIn(node));
    }).observe(document.body, { childList: true, subtree: true });
    return names;
  });
  return async () => gone.evaluate((names) => names);
}

const roomOf = async ({ page }: Participant) =>
  page.evaluate(async () => {
    const room = globalThis.plenary?.getSnapshot().room;
    const stats = await globalThis.plenary?.stats();
    return {
      peers: [...(room?.peers.values() ?? [])].map(({ displayName }) => displayName).sort(),
      tracks: [...(room?.tracks.keys() ?? [])].sort(),
      received: (stats?.received ?? []).map(({ trackId }) => trackId).sort(),
      chat: (room?.chat ?? []).map(({ text }) => text),
      lastEventId: room?.lastEventId ?? '',
    };
  });

describe('FLUSHALL in the middle of a call', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  beforeAll(async () => {
    cluster = await startLocalCluster({ env: { PLENARY_LOG_LEVEL: 'warn' } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await cluster.stop();
  });

  async function repairs(): Promise<number> {
    let count = 0;
    for (const { operatorUrl } of [...cluster.edges, ...cluster.mediaNodes]) {
      for (const [name, value] of await readMetrics(operatorUrl))
        if (name.includes('_repairs_total')) count += value;
    }
    return count;
  }

  it('[RC1][RC2][RC8] costs nobody a tile, a name, a message or a track, and a third person finds everybody', async () => {
    const [here, there] = cluster.edges;
    if (here === undefined || there === undefined) throw new Error('the cluster has two edges');
    const ann = await Participant.open(browser, here.publicUrl, 'flushed', 'Ann');
    const bob = await Participant.open(browser, there.publicUrl, 'flushed', 'Bob');
    await ann.join();
    await bob.join();
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    await ann.page.evaluate(() => globalThis.plenary?.postChat('before the loss'));
    const both = [ann, bob];
    for (const person of both)
      await until(
        'the message',
        () => roomOf(person),
        ({ chat }) => chat.includes('before the loss'),
      );
    const before = await Promise.all(both.map(roomOf));
    const gone = await Promise.all(both.map(watchTiles));

    const redis = new Redis(cluster.redisUrl);
    await redis.flushall();
    redis.disconnect();
    const reception = await Promise.all(both.map((person) => person.reception()));
    // Two peers, and two tracks of each, are republished.
    await until('the owners have republished everything', repairs, (count) => count >= 6);
    for (const [index, person] of both.entries()) {
      const known = before[index];
      if (known === undefined) throw new Error('There is no earlier state of this person.');
      await until(
        'the room in its new order, with everything that it had',
        () => roomOf(person),
        (now) =>
          now.lastEventId > known.lastEventId &&
          isDeepStrictEqual(now, { ...known, lastEventId: now.lastEventId }),
      );
      await until(
        `${person.name} still receives pictures`,
        () => person.reception(),
        (now) => now.framesDecoded > (reception[index]?.framesDecoded ?? Infinity),
      );
    }
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    for (const tiles of gone) expect(await tiles()).toEqual([]);

    const cy = await Participant.open(browser, here.publicUrl, 'flushed', 'Cy');
    await cy.join();
    await cy.untilOthersAre(['Ann', 'Bob']);
    await cy.untilSeesAndHears();
    await Promise.all([ann.untilOthersAre(['Bob', 'Cy']), bob.untilOthersAre(['Ann', 'Cy'])]);
    await ann.page.evaluate(() => globalThis.plenary?.postChat('after the loss'));
    for (const person of [...both, cy])
      await until(
        'the message',
        () => roomOf(person),
        ({ chat }) => chat.includes('after the loss'),
      );
    for (const person of [...both, cy]) {
      expect(person.errors).toEqual([]);
      await person.leave();
      await person.close();
    }
    await until('everything is freed', () => leftOver(cluster), isNothing);
  });
});
