import { parseArgs } from 'node:util';
import { z } from 'zod';

const whole = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum);

const OPTIONS = z.object({
  clients: whole(1, 20_000).default(5_000),
  edges: whole(2, 16).default(3),
  how: z.enum(['kill', 'restart', 'flap']).default('kill'),
  processes: whole(1, 16).default(2),
  roomSize: whole(1, 500).default(10),
  joins: z.coerce.number().min(0).max(100).default(5),
  json: z.string().min(1).optional(),
});

/** The options of `bench:reconnect`. */
export type StormOptions = z.infer<typeof OPTIONS>;

export const USAGE = `npm run bench:reconnect -- [options]

  --clients N     people whose edge goes, each with a socket and a session (5000)
  --edges N       edges, the one that goes among them (3)
  --how HOW       kill: SIGKILL; restart: SIGTERM, and it comes back; flap: three edges after one another,
                  each killed and started again before all are back (kill)
  --processes N   processes that the people live in (2)
  --room-size N   people of a room (10)
  --joins N       others who join the remaining edges meanwhile, per second (5)
  --json FILE     also writes the figures there
`;

/** @throws Error naming the invalid option */
export function parseStormOptions(args: readonly string[]): StormOptions | 'help' {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      clients: text,
      edges: text,
      how: text,
      processes: text,
      'room-size': text,
      joins: text,
      json: text,
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const { 'room-size': roomSize, ...others } = values;
  const parsed = OPTIONS.safeParse({ ...others, roomSize });
  if (parsed.success) return parsed.data;
  throw new Error(
    parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
  );
}
