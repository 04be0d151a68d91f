import { parseArgs } from 'node:util';
import { z } from 'zod';

const whole = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum);

const OPTIONS = z.object({
  bots: whole(0, 1_000).default(100),
  roomSize: whole(2, 500).default(20),
  concurrency: whole(1, 100).default(8),
  rounds: whole(0, 200).default(20),
  roundTrip: z.coerce.number().min(0).max(1_000).default(50),
  json: z.string().min(1).optional(),
});

/** The options of `bench:join`. */
export type BenchOptions = z.infer<typeof OPTIONS>;

export const USAGE = `npm run bench:join -- [options]

  --bots N          headless bots that join and are counted (100; 0 skips this part)
  --room-size N     people of a room, one of whom publishes (20)
  --concurrency N   joins under way at a time (8)
  --rounds N        joins of a real Chromium for each row (20; 0 skips this part)
  --round-trip MS   of the second row, through the delay proxy (50)
  --json FILE       also writes the figures there
`;

/** @throws Error naming the invalid option */
export function parseBenchOptions(args: readonly string[]): BenchOptions | 'help' {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      bots: text,
      'room-size': text,
      concurrency: text,
      rounds: text,
      'round-trip': text,
      json: text,
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const { 'room-size': roomSize, 'round-trip': roundTrip, ...others } = values;
  const parsed = OPTIONS.safeParse({ ...others, roomSize, roundTrip });
  if (parsed.success) return parsed.data;
  throw new Error(
    parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
  );
}
