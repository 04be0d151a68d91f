import { figure, formatTable } from '@plenary/loadtest/pages';
import { CurrentWorld } from '../../harness/current-world.ts';
import { byWorldKind } from '../attack.ts';
import type { Attack } from '../attack.ts';
import { HostileWorld } from '../hostile-world.ts';
import { ATTACKS } from '../table.ts';
import { withstand } from '../withstand.ts';
import type { Withstood } from '../withstand.ts';

/** From these values on a person notices something, in milliseconds: a gap in picture or sound, and the answer to a pressed button. */
const NOTICEABLE = { picture: 300, sound: 300, buttons: 1_000 };

/** The cost of one row of the attackers' table. */
export interface RowCost {
  readonly row: string;
  /** `undefined` if the meeting did not withstand the row. */
  readonly withstood: Withstood | undefined;
  /** The reason, if the meeting did not withstand the row. */
  readonly fault: string | undefined;
}

/** Runs rows of the attackers' table one after the other; rows of one world share a meeting. */
export async function measureRows(isWanted: (name: string) => boolean, seconds: number): Promise<RowCost[]> {
  const costs: RowCost[] = [];
  for (const [kind, attacks] of byWorldKind(ATTACKS.filter(({ name }) => isWanted(name)))) {
    const world = new CurrentWorld(() => HostileWorld.start(kind));
    for (const attack of attacks) {
      process.stderr.write(`… ${attack.name}\n`);
      costs.push(await measureRow(world, attack, seconds));
    }
    await world.end();
  }
  return costs;
}

async function measureRow(
  world: CurrentWorld<HostileWorld>,
  attack: Attack,
  seconds: number,
): Promise<RowCost> {
  try {
    const withstood = await world.act((current) => withstand(current, attack, seconds * 1_000));
    return { row: attack.name, withstood, fault: undefined };
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${fault}\n`);
    return { row: attack.name, withstood: undefined, fault };
  }
}

/** Whether a person in the meeting could notice the attack. */
export function isNoticeable({ withstood }: RowCost): boolean {
  if (withstood === undefined) return true;
  const { picture, sound, buttons } = withstood.noticed;
  return picture > NOTICEABLE.picture || sound > NOTICEABLE.sound || buttons > NOTICEABLE.buttons;
}

export function reportRows(rows: readonly RowCost[]): string {
  return formatTable(
    ['', 'memory MiB', 'kept MiB', 'picture s', 'sound s', 'buttons p95 s', 'noticeable'],
    rows.map((row) => [
      row.row,
      ...(row.withstood === undefined
        ? ['–', '–', '–', '–', '–']
        : [
            ...Object.values(row.withstood.moreMemoryBytes).map((bytes) => figure(bytes / 1_048_576)),
            ...Object.values(row.withstood.noticed).map((ms) => figure(ms / 1_000)),
          ]),
      isNoticeable(row) ? (row.fault?.split('\n')[0] ?? 'yes') : '',
    ]),
  );
}
