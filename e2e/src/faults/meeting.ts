import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../harness/until.ts';
import { streamsAmong } from './fault.ts';
import type { Fault } from './fault.ts';
import type { Person } from './person.ts';
import { everybodySeesAndHears, RECOVERY_TIMEOUT_MS } from './sees-and-hears.ts';
import type { FaultWorld } from './fault-world.ts';

/** The longest time that a person of a meeting was without picture, sound or buttons, in milliseconds. */
export interface Noticed {
  readonly picture: number;
  readonly sound: number;
  readonly buttons: number;
}

/**
 * The body of every row: a meeting runs, the fault strikes and is healed. After that everybody sees and hears everybody, rosters
 * and chats are complete and the same for all, and nothing remains when people have left.
 * @returns what people noticed before the fault, and from the fault to the end of the recovery
 */
export async function survive(
  world: FaultWorld,
  fault: Fault,
): Promise<{ readonly calm: Noticed; readonly noticed: Noticed }> {
  try {
    await world.meet();
    await everybodyIsThere(world);
    await everybodyChats(world, 'before');
    await watch(world);
    await everybodySeesAndHears(world.people);
    const measured = await fault.measuredStreams?.(world);
    const calm = await noticedSoFar(world, measured);
    await watch(world);
    const heal = await fault.strike(world);
    try {
      const lasted = fault.lastsMs === undefined ? undefined : delay(fault.lastsMs);
      if (fault.worksDuringFault !== 'nothing') await everybodySeesAndHears(world.people);
      if (fault.worksDuringFault === 'everything') await everybodyIsThere(world);
      await everybodyPosts(world, 'meanwhile');
      if (fault.worksDuringFault === 'everything') await untilMessagesAreShown(world);
      await lasted;
    } finally {
      await heal();
    }
    await world.store.untilWhole();
    await everybodyIsThere(world);
    await untilMessagesAreShown(world);
    await everybodyChats(world, 'after');
    await everybodySeesAndHears(world.people);
    const noticed = await noticedSoFar(world, measured);
    await chatIsTheSameForAll(world, ['before', 'meanwhile', 'after']);
    await world.end();
    return { calm, noticed };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${fault.name}: ${why}\n${await world.diagnostics()}`, { cause: error });
  }
}

const watch = (world: FaultWorld): Promise<unknown> =>
  Promise.all(world.people.map((person) => person.watch()));

async function noticedSoFar({ people }: FaultWorld, streams = streamsAmong(people)): Promise<Noticed> {
  const gaps = new Map(
    await Promise.all(people.map(async (person) => [person.name, await person.gaps()] as const)),
  );
  const worst = (kind: string): number =>
    Math.max(
      ...streams.map(({ viewer, publisher }) => gaps.get(viewer)?.media[`${publisher} ${kind}`] ?? Infinity),
    );
  return {
    picture: worst('video'),
    sound: worst('audio'),
    buttons: Math.max(...[...gaps.values()].map(({ button }) => button)),
  };
}

/** Expects everybody to be in the room, to know everybody, and to receive everybody's picture and sound. */
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

/** Has everybody write a message, without waiting for its delivery. */
async function everybodyPosts({ people }: FaultWorld, when: string): Promise<void> {
  for (const person of people) await person.post(textOf(person, when));
}

/** Waits until the room shows everybody's messages; messages that failed are sent again. */
async function untilMessagesAreShown({ people }: FaultWorld): Promise<void> {
  for (const person of people) {
    await until(
      `the room shows what ${person.name} wrote`,
      async () => {
        await person.retryFailedPosts();
        return person.read();
      },
      ({ pendingMessages: unsaid }) => unsaid.length === 0,
      RECOVERY_TIMEOUT_MS,
    );
  }
}

async function everybodyChats(world: FaultWorld, when: string): Promise<void> {
  await everybodyPosts(world, when);
  await untilMessagesAreShown(world);
}

/** Expects every message once, in the same order for all. */
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
