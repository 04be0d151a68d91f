import type { Outcome } from './simulate.ts';

/** Describes a seed that broke a rule for a person; `undefined` if every rule held. */
export function report({ seed, plan, steps, broken }: Outcome): string | undefined {
  if (broken === undefined) return undefined;
  const { nodes, edges, clients, roomIds, faults, isStormy } = plan;
  return [
    `seed ${seed} broke a rule at step ${steps}: ${broken.rule.message}`,
    `  ${nodes.length} media nodes, ${edges.length} edges, ${clients.length} people, ${roomIds.length} rooms`,
    `  faults: ${[...faults, ...(isStormy ? ['messages are delayed, lost and repeated'] : [])].join(', ') || 'none'}`,
    '  the last lines of its trace:',
    ...broken.lastLines.map((line) => `    ${line}`),
    `  to repeat it: npm run simulate -- --seed ${seed} --trace`,
  ].join('\n');
}
