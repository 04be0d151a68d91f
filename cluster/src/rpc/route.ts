import type { z } from 'zod';
import { PlenaryError, toPlenaryError } from '../errors.ts';
import type { NoticeDefinition, ReplyEnvelope, RequestDefinition } from '../protocol/define.ts';
import { UnreadPayload } from './frame.ts';

/** One row of a dispatch table: parses, handles, and answers in an envelope. Never throws. */
export type Route<Context> = (payload: unknown, context: Context) => Promise<ReplyEnvelope>;

export interface RouteOptions {
  /** Called with an error that a handler threw and that is not in the error table, before it is answered as `internal`. */
  readonly onFault: (fault: unknown) => void;
}

/**
 * Binds a handler to a request of a protocol. The payload is parsed before the handler sees it, so that a handler
 * only works on values within the schema's bounds (SPEC ER2).
 */
export function route<Payload extends z.ZodType, Reply extends z.ZodType, Context>(
  definition: RequestDefinition & { readonly payload: Payload; readonly reply: Reply },
  handler: (payload: z.output<Payload>, context: Context) => Promise<z.input<Reply>> | z.input<Reply>,
  options: RouteOptions,
): Route<Context> {
  return async (payload, context) => {
    if (payload instanceof UnreadPayload) {
      return { ok: false, error: new PlenaryError(payload.code, payload.detail).toWire() };
    }
    const parsed = definition.payload.safeParse(payload);
    if (!parsed.success) {
      const detail = describeIssues(parsed.error);
      return { ok: false, error: new PlenaryError('malformed_message', detail).toWire() };
    }
    try {
      return { ok: true, data: await handler(parsed.data, context) };
    } catch (thrown) {
      if (!(thrown instanceof PlenaryError) || thrown.code === 'internal') options.onFault(thrown);
      return { ok: false, error: toPlenaryError(thrown).toWire() };
    }
  };
}

/** One row of a table of notices: parses and handles. A notice that does not fit its schema goes to `onMalformed`. */
export type NoticeRoute = (payload: unknown) => void;

export function notice<Payload extends z.ZodType>(
  definition: NoticeDefinition & { readonly payload: Payload },
  handler: (payload: z.output<Payload>) => void,
  onMalformed: (detail: string) => void,
): NoticeRoute {
  return (payload) => {
    const parsed = definition.payload.safeParse(payload);
    if (parsed.success) handler(parsed.data);
    else onMalformed(describeIssues(parsed.error));
  };
}

/** The first few faults of a value in a line: `media.dtls.send: expected object`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.') || 'payload'}: ${issue.message}`)
    .join('; ');
}
