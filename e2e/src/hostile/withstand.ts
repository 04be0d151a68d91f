import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { PageNoticed } from '../faults/page/page.ts';
import type { Person } from '../faults/person.ts';
import { everybodySeesAndHears, RECOVERY_TIMEOUT_MS } from '../faults/sees-and-hears.ts';
import { until } from '../harness/until.ts';
import type { Answers, Attack } from './attack.ts';
import type { HostileWorld } from './hostile-world.ts';

/** How long an attack goes on, in milliseconds. */
const ATTACK_MS = 2_500;

/** What the people of the meeting noticed at worst, in milliseconds. */
export interface Noticed {
  readonly picture: number;
  readonly sound: number;
  /** 95th percentile of the presses of a button. */
  readonly buttons: number;
}

/**
 * The one body of the attackers' table: a meeting runs, the attack goes on for a while; nobody in the meeting is
 * interrupted, every press of a button is answered, every picture and voice goes on; the attacker was told what the row
 * says; no process ended; and what the attacker took is given back.
 * @returns how long anybody missed anything, for the benchmark
 */
export async function withstand(world: HostileWorld, attack: Attack, attackMs = ATTACK_MS): Promise<Noticed> {
  try {
    await everybodySeesAndHears(world.people);
    const before = await world.standing();
    await Promise.all(world.people.map((person) => person.watch()));
    const overMs = performance.now() + attackMs;
    const answers = await attack.strike(world, () => performance.now() >= overMs);
    await everybodySeesAndHears(world.people);
    expect(world.ended, 'processes that ended').toEqual([]);
    expect(answers.length, 'what the attacker was told').toBeGreaterThan(0);
    const unexpected = answers.filter((answer) => !attack.gets.includes(answer));
    expect(unexpected, 'what the attacker ought not to be told').toEqual([]);
    const noticed = await Promise.all(world.people.map((person) => person.noticed()));
    expect(interruptionsOf(world.people, noticed), 'what people noticed').toEqual([]);
    await until(
      'everything that the attacker took is given back',
      () => world.standing(),
      (now) => isDeepStrictEqual(now, before),
      RECOVERY_TIMEOUT_MS,
    );
    return worstOf(noticed);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${attack.name}: ${why}\n${await world.lastWords()}`, { cause: error });
  }
}

function interruptionsOf(people: readonly Person[], noticed: readonly PageNoticed[]): Answers {
  return noticed.flatMap(({ interruptions, presses }, index) => {
    const name = people[index]?.name ?? '';
    return [
      ...interruptions.map((state) => `${name}: ${state}`),
      ...(presses.failed > 0
        ? [`${name}: ${presses.failed} presses of a button failed (${presses.codes.join(', ')})`]
        : []),
      ...(presses.answeredMs.length === 0 ? [`${name}: no press of a button was answered`] : []),
    ];
  });
}

/** What people noticed at worst. */
export function worstOf(noticed: readonly PageNoticed[]): Noticed {
  const worst = (kind: string): number =>
    Math.max(
      ...noticed.flatMap(({ media }) =>
        Object.entries(media)
          .filter(([key]) => key.endsWith(kind))
          .map(([, gapMs]) => gapMs),
      ),
    );
  const presses = noticed
    .flatMap(({ presses: { answeredMs } }) => answeredMs)
    .sort((left, right) => left - right);
  return {
    picture: worst(' video'),
    sound: worst(' audio'),
    buttons: presses[Math.ceil(presses.length * 0.95) - 1] ?? Number.POSITIVE_INFINITY,
  };
}
