import type { Outcome } from './simulate.ts';

/** What a person needs to know of a seed that broke a rule; `undefined` when every rule held. */
export function report({ seed, plan, steps, broken }: Outcome): string | undefined {
  if (broken === undefined) return undefined;
  const { nodes, edges, clients, roomIds, faults, isStormy } = plan;
  return [
    `seed ${seed} broke a rule at step ${steps}: ${broken.rule.message}`,
    `  ${nodes.length} media nodes, ${edges.length} edges, ${clients.length} people, ${roomIds.length} rooms`,
    `  what goes wrong: ${[...faults, ...(isStormy ? ['messages are held up, lost and doubled'] : [])].join(', ') || 'nothing'}`,
    '  the last lines of its trace:',
    ...broken.lastLines.map((line) => `    ${line}`),
    `  again: npm run simulate -- --seed ${seed} --trace`,
  ].join('\n');
}
