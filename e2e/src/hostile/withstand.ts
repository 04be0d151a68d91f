import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { PageNoticed } from '../faults/page/page.ts';
import type { Person } from '../faults/person.ts';
import { everybodySeesAndHears, RECOVERY_TIMEOUT_MS } from '../faults/sees-and-hears.ts';
import { until } from '../harness/until.ts';
import type { Answers, Attack } from './attack.ts';
import type { HostileWorld } from './hostile-world.ts';
import { usageOf } from './usage.ts';

/** How long an attack lasts, in milliseconds. */
const ATTACK_MS = 2_500;

/** The worst that the meeting's people noticed, in milliseconds. */
export interface WorstNoticed {
  readonly picture: number;
  readonly sound: number;
  /** 95th percentile of the presses of a button. */
  readonly buttons: number;
}

/** The cost of a row that the meeting withstood. */
export interface Withstood {
  readonly noticed: WorstNoticed;
  /** The growth of the resident memory of the attacked edge, its media node, the worker and the store, in bytes. */
  readonly moreMemoryBytes: { readonly rightAfter: number; readonly atEnd: number };
}

/**
 * How much memory may remain in use when everything else is freed, in bytes. Node's heap keeps some of its growth, which
 * the next attack uses again.
 */
const KEPT_MEMORY_BYTES = 96 * 1_048_576;

/**
 * The body of every row: a meeting runs and the attack strikes. Nobody in the meeting is interrupted, every press of a button is
 * answered, every picture and voice continues; the attacker gets only the row's answers; no process ends; and everything that
 * the attacker used is freed, memory too. The length of gaps is measured by the benchmark (`npm run bench:hostile -- --rows`),
 * because a test of it would fail on a busy machine.
 */
export async function withstand(
  world: HostileWorld,
  attack: Attack,
  attackMs = ATTACK_MS,
): Promise<Withstood> {
  try {
    await everybodySeesAndHears(world.people);
    const before = await world.footprint();
    const memoryBefore = usageOf(world).memoryBytes;
    const moreMemory = (): number => usageOf(world).memoryBytes - memoryBefore;
    await Promise.all(world.people.map((person) => person.watch()));
    const overMs = performance.now() + attackMs;
    const answers = await attack.strike(world, () => performance.now() >= overMs);
    const rightAfter = moreMemory();
    await everybodySeesAndHears(world.people);
    expect(world.ended, 'processes that ended').toEqual([]);
    expect(answers.length, 'answers to the attacker').toBeGreaterThan(0);
    const unexpected = answers.filter((answer) => !attack.allowedAnswers.includes(answer));
    expect(unexpected, 'answers that the attacker may not get').toEqual([]);
    const noticed = await Promise.all(world.people.map((person) => person.noticed()));
    expect(interruptionsOf(world.people, noticed), 'what people noticed').toEqual([]);
    await until(
      'everything that the attacker used is freed',
      () => world.footprint(),
      (now) => isDeepStrictEqual(now, before),
      RECOVERY_TIMEOUT_MS,
    );
    const atEnd = await until(
      'memory to be freed',
      moreMemory,
      (bytes) => bytes < KEPT_MEMORY_BYTES,
      RECOVERY_TIMEOUT_MS,
    );
    return { noticed: worstOf(world.people, noticed), moreMemoryBytes: { rightAfter, atEnd } };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${attack.name}: ${why}\n${await world.diagnostics()}`, { cause: error });
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

/** The worst that people noticed of each other. Attackers' tracks do not count, because they end when the attackers leave. */
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
