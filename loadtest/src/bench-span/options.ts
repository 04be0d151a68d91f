import { parseArgs } from 'node:util';
import { z } from 'zod';

const OPTIONS = z.object({
  /** Sections by name; absent: all. */
  only: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  seconds: z.coerce.number().min(0.5).max(60).default(3),
  json: z.string().min(1).optional(),
});

/** The options of `bench:span`. */
export type SpanOptions = z.infer<typeof OPTIONS>;

export const USAGE = `npm run bench:span -- [options]

  --only A,B     only these sections (all)
  --seconds N    how long each row is measured (3)
  --json FILE    also writes the figures there
`;

/** @throws Error naming the invalid option */
export function parseSpanOptions(args: readonly string[]): SpanOptions | 'help' {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { only: text, seconds: text, json: text, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) return 'help';
  const parsed = OPTIONS.safeParse(values);
  if (parsed.success) return parsed.data;
  throw new Error(
    parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
  );
}
