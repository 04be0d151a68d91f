/** Raised hands by the app's own buttons, in Chromium and Firefox, over two edges. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { Redis } from 'ioredis';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Firefox, whyNoFirefox } from './harness/firefox.ts';
import { inChromium, joinInFirefox, untilHandsAre } from './harness/hand-raisers.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

const missing = whyNoFirefox();

describe('raised hands', () => {
  let cluster: LocalCluster;
  let chromium: Browser;
  let firefox: Firefox | undefined;
  beforeAll(async () => {
    cluster = await startLocalCluster({ env: { PLENARY_LOG_LEVEL: 'warn' } });
    chromium = await launchChromium();
    firefox = missing === undefined ? await Firefox.launch() : undefined;
  });
  afterAll(async () => {
    await firefox?.close();
    await chromium.close();
    await cluster.stop();
  });

  it(`[RE9][RE24][WB59] are in the same order for everybody, over two edges, a FLUSHALL and the death of an edge${
    missing === undefined ? '' : ` (without Firefox: ${missing})`
  }`, async () => {
    const [here, there] = cluster.edges;
    if (here === undefined || there === undefined) throw new Error('the cluster has two edges');
    const participants = [
      await Participant.open(chromium, here.publicUrl, 'hands', 'Ann'),
      await Participant.open(chromium, there.publicUrl, 'hands', 'Bob'),
    ];
    for (const participant of participants) await participant.join();
    const [ann, bob] = participants.map(inChromium);
    const [first] = participants;
    if (ann === undefined || bob === undefined || first === undefined) throw new Error('nobody came');
    const fay = firefox && (await joinInFirefox(firefox, there.publicUrl, 'hands', 'Fay'));
    const people = [ann, bob, ...(fay === undefined ? [] : [fay])];
    const others = fay === undefined ? [] : ['Fay'];
    await first.untilOthersAre(['Bob', ...others]);
    for (const person of people) await person.press('people-button');

    // A toast disappears after some seconds, so an observer collects them.
    const toasts = await first.page.evaluateHandle(() => {
      const texts: string[] = [];
      new MutationObserver(() => {
        for (const toast of document.querySelectorAll('[data-testid=toast]')) texts.push(toast.textContent);
      }).observe(document.body, { childList: true, subtree: true });
      return texts;
    });
    await bob.press('hand-button');
    await untilHandsAre(people, ['Bob']);
    // Ann uses the keyboard alone.
    await first.page.getByTestId('hand-button').focus();
    await first.page.keyboard.press('Enter');
    await untilHandsAre(people, ['Bob', 'Ann']);
    await fay?.press('hand-button');
    const all = ['Bob', 'Ann', ...others];
    await untilHandsAre(people, all);
    expect((await ann.look()).badges).toEqual(all.map((name, index) => `${index + 1} ${name}`));
    const shown = await toasts.evaluate((texts) => [...new Set(texts)]);
    expect(shown.filter((text) => text.includes('raised'))).toEqual(
      all.filter((name) => name !== 'Ann').map((name) => `${name} raised a hand`),
    );

    // No hand may disappear while the store loses everything, not even for a moment.
    const counts = await first.page.evaluateHandle(() => {
      const seen: number[] = [];
      const count = (): void => {
        seen.push(document.querySelectorAll('[data-testid=raised-hand]').length);
      };
      new MutationObserver(count).observe(document.body, { childList: true, subtree: true });
      return seen;
    });
    const before = await first.page.evaluate(() => globalThis.plenary?.getSnapshot().room.lastEventId ?? '');
    const redis = new Redis(cluster.redisUrl);
    await redis.flushall();
    redis.disconnect();
    await until(
      'the room in its new order',
      () => first.page.evaluate(() => globalThis.plenary?.getSnapshot().room.lastEventId ?? ''),
      (now) => now > before,
    );
    await untilHandsAre(people, all);
    expect((await counts.evaluate((seen) => seen)).filter((count) => count !== all.length)).toEqual([]);
    const cy = await Participant.open(chromium, here.publicUrl, 'hands', 'Cy');
    await cy.join();
    await inChromium(cy).press('people-button');
    await untilHandsAre([...people, inChromium(cy)], all);
    await cy.leave();

    await there.kill('SIGKILL');
    for (const person of people)
      await until(
        `${person.name} is back`,
        () => person.phase(),
        (phase) => phase === 'joined',
      );
    await untilHandsAre(people, all);
    await bob.press('hand-button');
    await untilHandsAre(people, all.slice(1));
    await first.page.getByTestId('lower-hand-button').click();
    await untilHandsAre(people, others);
    expect((await ann.look()).badges).toEqual(others.map((name) => `1 ${name}`));
    for (const participant of participants) expect(participant.errors).toEqual([]);
    for (const participant of [...participants, cy]) await participant.close();
  });
});
