/** Two people in real browsers use the app's buttons, on a cluster of real processes. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { isNothing, leftOver, pipeCount } from './harness/left-over.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** How many times both people join and leave before nothing may remain. */
const ROUNDS = 3;

describe('a meeting', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  let here: string;
  let there: string;
  const people: Participant[] = [];

  beforeAll(async () => {
    cluster = await startLocalCluster({ env: { PLENARY_LOG_LEVEL: 'warn' } });
    const [first, second] = cluster.edges;
    if (first === undefined || second === undefined) throw new Error('the cluster has two edges');
    here = first.publicUrl;
    there = second.publicUrl;
    browser = await launchChromium();
  });

  afterEach(async () => {
    for (const person of people.splice(0)) await person.close();
  });

  afterAll(async () => {
    await browser.close();
    await cluster.stop();
  });

  async function enter(edgeUrl: string, roomId: string, name: string): Promise<Participant> {
    const person = await Participant.open(browser, edgeUrl, roomId, name);
    people.push(person);
    await person.join();
    return person;
  }

  const untilNothingIsLeft = (): Promise<unknown> =>
    until('every transport, router, pipe, session and key is freed', () => leftOver(cluster), isNothing);

  it('[PI2] two people on different media nodes see and hear each other through a pipe', async () => {
    const ann = await enter(here, 'across', 'Ann');
    const bob = await enter(there, 'across', 'Bob');
    await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);
    expect(await ann.mediaNodeId()).not.toBe(await bob.mediaNodeId());
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect(await pipeCount(cluster)).toBeGreaterThan(0);

    await bob.leave();
    await ann.untilOthersAre([]);
    await ann.leave();
    await untilNothingIsLeft();
    expect([...ann.errors, ...bob.errors]).toEqual([]);
  });

  it('[PI1] two people on one media node see and hear each other, and there is no pipe', async () => {
    const ann = await enter(here, 'together', 'Ann');
    const bob = await enter(here, 'together', 'Bob');
    await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);
    expect(await ann.mediaNodeId()).toBe(await bob.mediaNodeId());
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    expect(await pipeCount(cluster)).toBe(0);

    await Promise.all([ann.leave(), bob.leave()]);
    await untilNothingIsLeft();
  });

  it('[LG2] a chat message, a mute and a camera’s end reach the other person on another edge', async () => {
    const ann = await enter(here, 'chatting', 'Ann');
    const bob = await enter(there, 'chatting', 'Bob');
    await ann.untilOthersAre(['Bob']);

    await ann.page.getByTestId('chat-button').click();
    await ann.page.getByTestId('chat-input').fill('Hello <b>Bob</b> & all');
    await ann.page.getByTestId('chat-input').press('Enter');
    await bob.page.getByTestId('chat-button').click();
    await until(
      'Bob reads the message as it was written',
      () => bob.page.getByTestId('chat-message').allInnerTexts(),
      (messages) => messages.some((message) => message.includes('Hello <b>Bob</b> & all')),
    );

    await ann.page.getByTestId('camera-button').click();
    await until(
      'Ann’s camera is off for Bob',
      () => bob.page.locator('[data-testid=tile][data-peer-name=Ann] video:visible').count(),
      (videos) => videos === 0,
    );
    await ann.page.getByTestId('camera-button').click();
    await bob.untilSeesAndHears();
    await Promise.all([ann.leave(), bob.leave()]);
    await untilNothingIsLeft();
  });

  it('[SP2] the speaker is marked on the other node’s page, and a shared screen takes its stage', async () => {
    const ann = await enter(here, 'speaking', 'Ann');
    const bob = await enter(there, 'speaking', 'Bob');
    await until(
      'Bob’s tile is marked while the fake microphone beeps',
      () => ann.page.locator('[data-testid=tile][data-peer-name=Bob]').getAttribute('data-speaking'),
      (speaking) => speaking === 'true',
    );
    await ann.page.getByTestId('screen-button').click();
    await until(
      'Ann’s screen is on Bob’s stage, with a picture',
      () =>
        bob.page
          .getByTestId('stage-main')
          .locator('[data-testid=tile][data-source=screen][data-has-video=true]')
          .count(),
      (screens) => screens === 1,
    );
    await Promise.all([ann.leave(), bob.leave()]);
    await untilNothingIsLeft();
  });

  it('[DM4] a picture that all viewers draw small is sent small, and large again when one viewer enlarges it', async () => {
    const ann = await enter(here, 'thrift', 'Ann');
    const bob = await enter(there, 'thrift', 'Bob');
    await bob.untilSeesAndHears();
    const untilAnnMaySend = (what: string, layers: number): Promise<unknown> =>
      until(
        what,
        async () => ({
          bobRequested: bob.layerMessages.requested,
          annReceived: ann.layerMessages.announced,
          annMaySend: await ann.allowedCameraLayers(),
        }),
        ({ annMaySend }) => annMaySend === layers,
      );
    await untilAnnMaySend('Ann may send every layer', 3);
    await bob.page.setViewportSize({ width: 320, height: 320 });
    await untilAnnMaySend('Ann may send the smallest layer only', 1);
    await bob.page.setViewportSize({ width: 1280, height: 800 });
    await untilAnnMaySend('Ann may send every layer again', 3);
    await bob.untilSeesAndHears();
    await bob.leave();
    await untilAnnMaySend('Ann may send the smallest layer only, since nobody watches', 1);
    await ann.leave();
    await untilNothingIsLeft();
  });

  it('fits a phone: every button is in the window, and nothing scrolls sideways', async () => {
    const phone = { width: 360, height: 740 };
    const ann = await Participant.open(browser, here, 'phone', 'Ann', phone);
    people.push(ann);
    const fits = async (): Promise<void> => {
      const buttons = await ann.page.locator('button:visible').evaluateAll((elements) =>
        elements.map((element) => {
          const { left, right, top, bottom } = element.getBoundingClientRect();
          return { left, right, top, bottom };
        }),
      );
      expect(buttons.length).toBeGreaterThan(0);
      for (const box of buttons) {
        expect(Math.min(box.left, box.top)).toBeGreaterThanOrEqual(0);
        expect(box.right).toBeLessThanOrEqual(phone.width);
        expect(box.bottom).toBeLessThanOrEqual(phone.height);
      }
      const width = await ann.page.evaluate(() => document.documentElement.scrollWidth);
      expect(width).toBeLessThanOrEqual(phone.width);
    };
    await fits();
    await ann.join();
    await fits();
    await ann.leave();
    await untilNothingIsLeft();
  });

  it('[SE30] closing a tab removes the person’s tile at once', async () => {
    const ann = await enter(here, 'closing', 'Ann');
    const bob = await enter(there, 'closing', 'Bob');
    await ann.untilOthersAre(['Bob']);
    await bob.close();
    await ann.untilOthersAre([]);
    await ann.leave();
    await untilNothingIsLeft();
  });

  it(`[LG4] after ${ROUNDS} rounds of joining and leaving nothing remains`, async () => {
    const ann = await enter(here, 'rounds', 'Ann');
    const bob = await enter(there, 'rounds', 'Bob');
    for (let round = 1; round <= ROUNDS; round += 1) {
      await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);
      await until(
        `pictures in round ${round}`,
        async () => Promise.all([ann.reception(), bob.reception()]),
        (seen) => seen.every(({ framesDecoded }) => framesDecoded > 0),
      );
      await Promise.all([ann.leave(), bob.leave()]);
      if (round === ROUNDS) break;
      for (const person of [ann, bob]) {
        await person.page.getByTestId('rejoin-button').click();
        await person.page.getByTestId('join-button').click();
      }
      await Promise.all([ann.untilJoined(), bob.untilJoined()]);
    }
    await untilNothingIsLeft();
    expect([...ann.errors, ...bob.errors]).toEqual([]);
  }, 240_000);
});
