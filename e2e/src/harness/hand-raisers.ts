/** People who raise hands in either browser: what their pages show, and how they press buttons. */
import { z } from 'zod';
import type { Firefox } from './firefox.ts';
import type { Participant } from './participant.ts';
import { until } from './until.ts';

/** What a page shows of raised hands: the list in order, the tiles' badges, and whether the own button is pressed. */
export interface SeenHands {
  readonly list: readonly string[];
  readonly badges: readonly string[];
  readonly isUp: boolean;
}
const SEEN: z.ZodType<SeenHands> = z.object({
  list: z.array(z.string()),
  badges: z.array(z.string()),
  isUp: z.boolean(),
});
/** Runs in either browser. Tiles without a camera picture have badges too. */
const LOOK = `(() => ({
  list: [...document.querySelectorAll('[data-testid=raised-hand] .person-name')].map((name) => name.textContent.replace(' (you)', '')),
  badges: [...document.querySelectorAll('[data-testid=tile-hand]')]
    .map((badge) => badge.textContent + ' ' + badge.closest('[data-testid=tile]').dataset.peerName)
    .sort(),
  isUp: document.querySelector('[data-testid=hand-button]')?.getAttribute('aria-pressed') === 'true',
}))()`;

/** A person in either browser. */
export interface HandRaiser {
  readonly name: string;
  look(): Promise<SeenHands>;
  press(testId: string): Promise<void>;
  phase(): Promise<string>;
}

export const inChromium = (participant: Participant): HandRaiser => ({
  name: participant.name,
  look: async () => SEEN.parse(await participant.page.evaluate(LOOK)),
  press: (testId) => participant.page.getByTestId(testId).click(),
  phase: async () =>
    participant.page.evaluate(() => globalThis.plenary?.getSnapshot().connection.phase ?? 'none'),
});

/** Waits until these people see exactly these hands, in this order. */
export async function untilHandsAre(people: readonly HandRaiser[], names: readonly string[]): Promise<void> {
  for (const person of people) {
    await until(
      `${person.name} sees the hands of ${names.join(', ')}`,
      () => person.look(),
      ({ list, isUp }) => list.join() === names.join() && isUp === names.includes(person.name),
    );
  }
}

/** Joins through the page's form, as a person does. */
export async function joinInFirefox(
  firefox: Firefox,
  url: string,
  room: string,
  name: string,
): Promise<HandRaiser> {
  await firefox.goto(`${url}/r/${room}`);
  const has = (selector: string) =>
    firefox.evaluate(z.boolean(), `document.querySelector('${selector}') !== null`);
  await until('the pre-join page', () => has('[data-testid=name-input]'), Boolean);
  // React only notices typing that goes through the native setter and an input event.
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
