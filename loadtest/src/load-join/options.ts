import { parseArgs } from 'node:util';
import { z } from 'zod';

const whole = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum);

const OPTIONS = z.object({
  vus: whole(1, 500).default(10),
  duration: z
    .string()
    .regex(/^\d{1,3}s$/, 'must be seconds such as 15s')
    .default('15s'),
  iterations: whole(1, 10_000).optional(),
  roomSize: whole(1, 1_000).default(10),
  holdMs: whole(0, 60_000).default(500),
  useRunning: z.boolean().default(false),
  json: z.string().min(1).optional(),
});

/** The options of `load:join`. */
export type LoadOptions = z.infer<typeof OPTIONS>;

export const USAGE = `npm run load:join -- [options]

  --vus N           people at a time (10)
  --duration 15s    for how long they come and go (15s)
  --iterations N    visits of each in place of a duration
  --room-size N     people of a room (10)
  --hold-ms N       how long each stays (500)
  --use-running     the cluster that \`npm start\` runs, in place of one of its own
  --json FILE       also writes k6's figures there
`;

/** @throws Error naming the invalid option */
export function parseLoadOptions(args: readonly string[]): LoadOptions | 'help' {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      vus: text,
      duration: text,
      iterations: text,
      'room-size': text,
      'hold-ms': text,
      'use-running': { type: 'boolean' },
      json: text,
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const { 'room-size': roomSize, 'hold-ms': holdMs, 'use-running': useRunning, ...others } = values;
  const parsed = OPTIONS.safeParse({ ...others, roomSize, holdMs, useRunning });
  if (parsed.success) return parsed.data;
  throw new Error(
    parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
  );
}
