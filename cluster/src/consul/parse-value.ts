import { z } from 'zod';

/** Parses a value of Consul's KV store. @returns `undefined`, after reporting why, if it does not fit the schema */
export function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  onMalformed: (detail: string) => void,
): z.output<Schema> | undefined {
  const parsed = z.string().transform(parseJson).pipe(schema).safeParse(text);
  if (parsed.success) return parsed.data;
  onMalformed(z.prettifyError(parsed.error));
  return undefined;
}

function parseJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('is not JSON');
    return z.NEVER;
  }
}
