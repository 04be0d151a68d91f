import { parseArgs } from 'node:util';
import { z } from 'zod';
import { FAULTS } from '../table.ts';

const OPTIONS = z.object({
  runs: z.coerce.number().int().min(0).max(1_000).default(20),
  only: z.array(z.string().min(1)).optional(),
  seed: z.coerce.number().int().min(0).max(1_000_000).default(1),
  json: z.string().min(1).optional(),
  docs: z.boolean().default(false),
});

/** The options of `bench:faults`. */
export type FaultsBenchOptions = z.infer<typeof OPTIONS>;

export const USAGE = `npm run bench:faults -- [options]

    --runs N      how often each fault strikes (20; 0 measures nothing)
  --only ROW    only rows whose name contains this; may be given several times
    --seed N      seed of loss and jitter between the datacenters (1)
    --json FILE   also writes the figures to this file
    --docs        also writes them into docs/failure-modes.md, and replaces the figures of the same rows

Rows:
${FAULTS.map(({ name }) => `  ${name}`).join('\n')}
`;

/** @throws Error naming the wrong option */
export function parseFaultsOptions(args: readonly string[]): FaultsBenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string' },
      only: { type: 'string', multiple: true },
      seed: { type: 'string' },
      json: { type: 'string' },
      docs: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const parsed = OPTIONS.safeParse(values);
  if (!parsed.success) {
    throw new Error(
      parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
    );
  }
  const unknown = parsed.data.only?.find((part) => !FAULTS.some(({ name }) => name.includes(part)));
  if (unknown !== undefined) throw new Error(`--only: no row's name contains "${unknown}"`);
  return parsed.data;
}
