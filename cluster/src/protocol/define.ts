import { z } from 'zod';
import { ERROR_CODES } from '../errors.ts';
import { openTo } from './later.ts';
import { lineText, patternText } from './text.ts';

/** One request: its payload, its reply, and a sentence for the reference. */
export interface RequestDefinition {
  readonly summary: string;
  readonly payload: z.ZodType;
  readonly reply: z.ZodType;
}

/** One message without an answer. */
export interface NoticeDefinition {
  readonly summary: string;
  readonly payload: z.ZodType;
}

export type RequestTable = Record<string, RequestDefinition>;
export type NoticeTable = Record<string, NoticeDefinition>;

export type RequestName<Table extends RequestTable> = Extract<keyof Table, string>;
export type NoticeName<Table extends NoticeTable> = Extract<keyof Table, string>;
/** The parsed payload of a request, as its receiver reads it. */
export type RequestOf<Table extends RequestTable, Name extends RequestName<Table>> = z.output<
  Table[Name]['payload']
>;
/** The payload of a request, as its sender writes it. */
export type RequestInputOf<Table extends RequestTable, Name extends RequestName<Table>> = z.input<
  Table[Name]['payload']
>;
export type ReplyOf<Table extends RequestTable, Name extends RequestName<Table>> = z.output<
  Table[Name]['reply']
>;
export type ReplyInputOf<Table extends RequestTable, Name extends RequestName<Table>> = z.input<
  Table[Name]['reply']
>;
export type NoticeOf<Table extends NoticeTable, Name extends NoticeName<Table>> = z.output<
  Table[Name]['payload']
>;
export type NoticeInputOf<Table extends NoticeTable, Name extends NoticeName<Table>> = z.input<
  Table[Name]['payload']
>;

/** An empty reply. */
export const NOTHING = z.object({});

const WORD = patternText(/^[A-Za-z0-9_.-]+$/, 64, 'must be a word');
export const WIRE_ERROR = z.object({
  code: openTo(z.enum(ERROR_CODES), 'internal'),
  message: lineText(1_000),
  retryable: z.boolean(),
  detail: z
    .object({
      reason: WORD,
      claim: WORD.optional(),
      seconds: z.number().optional(),
    })
    .optional(),
});

/** The envelope of every acknowledgement, on both protocols. The reply itself is checked by the request's schema. */
export const REPLY_ENVELOPE = z.union([
  z.object({ ok: z.literal(true), data: z.unknown() }),
  z.object({ ok: z.literal(false), error: WIRE_ERROR }),
]);
export type ReplyEnvelope = z.infer<typeof REPLY_ENVELOPE>;
