import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../harness/until.ts';
import { streamsAmong } from './fault.ts';
import type { Fault } from './fault.ts';
import type { Person } from './person.ts';
import { everybodySeesAndHears, RECOVERY_TIMEOUT_MS } from './sees-and-hears.ts';
import type { FaultWorld } from './fault-world.ts';

/** What the people of a meeting noticed of a fault, at worst, in milliseconds. */
export interface Noticed {
  readonly picture: number;
  readonly sound: number;
  readonly buttons: number;
}

/**
 * The one body of the table: a meeting runs, the fault strikes and is healed; then everybody who should see and hear each
 * other does, roster and chat are complete and the same for all, and nothing is left when they part.
 * @returns what was noticed from before the fault to the end of the recovery; and while nothing was wrong
 */
export async function survive(
  world: FaultWorld,
  fault: Fault,
): Promise<{ readonly calm: Noticed; readonly noticed: Noticed }> {
  try {
    await world.meet();
    await everybodyIsThere(world);
    await everybodySays(world, 'before');
    await watch(world);
    await everybodySeesAndHears(world.people);
    const judged = await fault.judgedBy?.(world);
    const calm = await noticedSoFar(world, judged);
    await watch(world);
    const heal = await fault.strike(world);
    try {
      const lasted = fault.lastsMs === undefined ? undefined : delay(fault.lastsMs);
      if (fault.meanwhile !== 'nothing') await everybodySeesAndHears(world.people);
      if (fault.meanwhile === 'everything') await everybodyIsThere(world);
      await everybodyBegins(world, 'meanwhile');
      if (fault.meanwhile === 'everything') await everybodyIsHeardInChat(world);
      await lasted;
    } finally {
      await heal();
    }
    await world.store.untilWhole();
    await everybodyIsThere(world);
    await everybodyIsHeardInChat(world);
    await everybodySays(world, 'after');
    await everybodySeesAndHears(world.people);
    const noticed = await noticedSoFar(world, judged);
    await chatIsTheSameForAll(world, ['before', 'meanwhile', 'after']);
    await world.part();
    return { calm, noticed };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${fault.name}: ${why}\n${await world.lastWords()}`, { cause: error });
  }
}

const watch = (world: FaultWorld): Promise<unknown> =>
  Promise.all(world.people.map((person) => person.watch()));

async function noticedSoFar({ people }: FaultWorld, judged = streamsAmong(people)): Promise<Noticed> {
  const gaps = new Map(
    await Promise.all(people.map(async (person) => [person.name, await person.gaps()] as const)),
  );
  const worst = (kind: string): number =>
    Math.max(
      ...judged.map(({ viewer, publisher }) => gaps.get(viewer)?.media[`${publisher} ${kind}`] ?? Infinity),
    );
  return {
    picture: worst('video'),
    sound: worst('audio'),
    buttons: Math.max(...[...gaps.values()].map(({ button }) => button)),
  };
}

/** Everybody is in the room, knows everybody, and gets everybody's picture and voice. */
async function everybodyIsThere(world: FaultWorld): Promise<void> {
  const names = world.people.map(({ name }) => name).sort();
  for (const person of world.people) {
    await until(
      `${person.name} knows that ${names.join(', ')} are there`,
      () => person.read(),
      ({ phase, roster, peerCount }) =>
        phase === 'joined' && roster.join() === names.join() && peerCount === names.length,
      RECOVERY_TIMEOUT_MS,
    );
  }
  await everybodySeesAndHears(world.people);
}

const textOf = ({ name }: Person, when: string): string => `${name} ${when}`;

/** Everybody writes something, whatever becomes of it. */
async function everybodyBegins({ people }: FaultWorld, when: string): Promise<void> {
  for (const person of people) await person.say(textOf(person, when));
}

/** Waits until the room shows what everybody wrote; who is told that it was not sent sends it again. */
async function everybodyIsHeardInChat({ people }: FaultWorld): Promise<void> {
  for (const person of people) {
    await until(
      `what ${person.name} wrote is in the room`,
      async () => {
        await person.sayAgain();
        return person.read();
      },
      ({ unsaid }) => unsaid.length === 0,
      RECOVERY_TIMEOUT_MS,
    );
  }
}

async function everybodySays(world: FaultWorld, when: string): Promise<void> {
  await everybodyBegins(world, when);
  await everybodyIsHeardInChat(world);
}

/** Every message is there once, in one order for all. */
async function chatIsTheSameForAll({ people }: FaultWorld, whens: readonly string[]): Promise<void> {
  const all = people.flatMap((person) => whens.map((when) => textOf(person, when))).sort();
  await until(
    'the chat is complete, and the same for all',
    () => Promise.all(people.map(async (person) => (await person.read()).chat)),
    (chats) =>
      new Set(chats.map((chat) => JSON.stringify(chat))).size === 1 &&
      JSON.stringify([...(chats[0] ?? [])].sort()) === JSON.stringify(all),
  );
}
