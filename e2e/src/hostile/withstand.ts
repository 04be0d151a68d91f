import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { PageNoticed } from '../faults/page/page.ts';
import type { Person } from '../faults/person.ts';
import { everybodySeesAndHears, RECOVERY_TIMEOUT_MS } from '../faults/sees-and-hears.ts';
import { until } from '../harness/until.ts';
import type { Answers, Attack } from './attack.ts';
import type { HostileWorld } from './hostile-world.ts';
import { usageOf } from './usage.ts';

/** How long an attack goes on, in milliseconds. */
const ATTACK_MS = 2_500;

/** What the people of the meeting noticed at worst, in milliseconds. */
export interface WorstNoticed {
  readonly picture: number;
  readonly sound: number;
  /** 95th percentile of the presses of a button. */
  readonly buttons: number;
}

/** What a row cost. */
export interface Withstood {
  readonly noticed: WorstNoticed;
  /** Resident memory of the attacked edge, its media node, their worker and the store: more than before, in bytes. */
  readonly moreMemoryBytes: { readonly rightAfter: number; readonly atEnd: number };
}

/**
 * How much more memory than before may stay when all is given back, in bytes. Node's heap keeps some of what it grew by,
 * and the next attack uses that again.
 */
const KEPT_MEMORY_BYTES = 96 * 1_048_576;

/**
 * The one body of the attackers' table: a meeting runs, the attack goes on for a while; nobody in the meeting is
 * interrupted, every press of a button is answered, every picture and voice goes on; the attacker was told what the row
 * says; no process ended; and what the attacker took is given back, memory too. How long anybody missed anything is the
 * benchmark's matter (`npm run bench:hostile -- --rows`): a busy machine would fail a test that judged it.
 */
export async function withstand(
  world: HostileWorld,
  attack: Attack,
  attackMs = ATTACK_MS,
): Promise<Withstood> {
  try {
    await everybodySeesAndHears(world.people);
    const before = await world.standing();
    const memoryBefore = usageOf(world).memoryBytes;
    const moreMemory = (): number => usageOf(world).memoryBytes - memoryBefore;
    await Promise.all(world.people.map((person) => person.watch()));
    const overMs = performance.now() + attackMs;
    const answers = await attack.strike(world, () => performance.now() >= overMs);
    const rightAfter = moreMemory();
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
    const atEnd = await until(
      'memory to be given back',
      moreMemory,
      (bytes) => bytes < KEPT_MEMORY_BYTES,
      RECOVERY_TIMEOUT_MS,
    );
    return { noticed: worstOf(world.people, noticed), moreMemoryBytes: { rightAfter, atEnd } };
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

/** What people noticed of each other at worst. Attackers who sent media are left out: theirs ends when they leave. */
export function worstOf(people: readonly Person[], noticed: readonly PageNoticed[]): WorstNoticed {
  const names = new Set(people.map(({ name }) => name));
  const worst = (kind: string): number =>
    Math.max(
      ...noticed.flatMap(({ media }) =>
        Object.entries(media)
          .filter(([key]) => key.endsWith(kind) && names.has(key.slice(0, -kind.length)))
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
