/** Raised hands by the app's own buttons, in Chromium and Firefox, over two edges. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { Redis } from 'ioredis';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Firefox, whyNoFirefox } from './harness/firefox.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** What one sees of raised hands: the list in order, the badges of tiles, and the state of one's own button. */
interface Seen {
  readonly list: readonly string[];
  readonly badges: readonly string[];
  readonly isUp: boolean;
}
const SEEN: z.ZodType<Seen> = z.object({
  list: z.array(z.string()),
  badges: z.array(z.string()),
  isUp: z.boolean(),
});
/** Works in either browser. Tiles of people without a camera picture have badges as well. */
const LOOK = `(() => ({
  list: [...document.querySelectorAll('[data-testid=raised-hand] .person-name')].map((name) => name.textContent.replace(' (you)', '')),
  badges: [...document.querySelectorAll('[data-testid=tile-hand]')]
    .map((badge) => badge.textContent + ' ' + badge.closest('[data-testid=tile]').dataset.peerName)
    .sort(),
  isUp: document.querySelector('[data-testid=hand-button]')?.getAttribute('aria-pressed') === 'true',
}))()`;

/** Somebody in either browser. */
interface Person {
  readonly name: string;
  look(): Promise<Seen>;
  press(testId: string): Promise<void>;
  phase(): Promise<string>;
}

const inChromium = (participant: Participant): Person => ({
  name: participant.name,
  look: async () => SEEN.parse(await participant.page.evaluate(LOOK)),
  press: (testId) => participant.page.getByTestId(testId).click(),
  phase: async () =>
    participant.page.evaluate(() => globalThis.plenary?.getSnapshot().connection.phase ?? 'none'),
});

async function untilHandsAre(people: readonly Person[], names: readonly string[]): Promise<void> {
  for (const person of people) {
    await until(
      `${person.name} sees the hands of ${names.join(', ')}`,
      () => person.look(),
      ({ list, isUp }) => list.join() === names.join() && isUp === names.includes(person.name),
    );
  }
}

/** Joins by the form of the page, as a person does it. */
async function joinInFirefox(firefox: Firefox, url: string, room: string, name: string): Promise<Person> {
  await firefox.goto(`${url}/r/${room}`);
  const has = (selector: string) =>
    firefox.evaluate(z.boolean(), `document.querySelector('${selector}') !== null`);
  await until('the door of the room', () => has('[data-testid=name-input]'), Boolean);
  // As React hears of what a person types.
  await firefox.evaluate(
    z.boolean(),
    `(() => {
      const input = document.querySelector('[data-testid=name-input]');
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, '${name}');
      return input.dispatchEvent(new Event('input', { bubbles: true }));
    })()`,
  );
  const press = async (testId: string): Promise<void> => {
    await until(`the button ${testId}`, () => has(`[data-testid=${testId}]`), Boolean);
    await firefox.evaluate(
      z.literal(true),
      `(document.querySelector('[data-testid=${testId}]').click(), true)`,
    );
  };
  const phase = () => firefox.evaluate(z.string(), `plenary.getSnapshot().connection.phase`);
  await press('join-button');
  await until(`${name} is in the room`, phase, (now) => now === 'joined');
  return { name, look: () => firefox.evaluate(SEEN, LOOK), press, phase };
}

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

  it(`[RE9][WB20] are the same for everybody, over edges, a FLUSHALL and the loss of an edge${
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

    await bob.press('hand-button');
    await untilHandsAre(people, ['Bob']);
    // By the keyboard alone.
    await first.page.getByTestId('hand-button').focus();
    await first.page.keyboard.press('Enter');
    await untilHandsAre(people, ['Bob', 'Ann']);
    await fay?.press('hand-button');
    const all = ['Bob', 'Ann', ...others];
    await untilHandsAre(people, all);
    expect((await ann.look()).badges).toEqual(all.map((name, index) => `${index + 1} ${name}`));
    const toasts = first.page.getByTestId('toasts');
    await until(
      'Ann is told of Bob',
      () => toasts.textContent(),
      (text) => text !== null,
    );
    if (process.env['PLENARY_SCREENSHOTS'] !== undefined)
      await first.page.screenshot({ path: `${process.env['PLENARY_SCREENSHOTS']}/hands.png` });

    // Nobody sees a hand go while the store forgets everything, not for a moment.
    const gone = await first.page.evaluateHandle(() => {
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
    expect((await gone.evaluate((seen) => seen)).filter((count) => count !== all.length)).toEqual([]);
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
