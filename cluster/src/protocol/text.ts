/**
 * Patterns for every string that crosses a process boundary. Such a string goes on to a person, a log line or a
 * parser (an SDP, a flat record, a URL), so it must not contain control characters, line ends or bidirectional
 * overrides (SPEC MS1). Lengths are counted in Unicode code points everywhere, as JSON Schema, Python and Go count
 * them.
 */
import { z } from 'zod';

/**
 * Characters that no text may contain: C0 and C1 control characters, line and paragraph separators, bidirectional
 * embeddings, overrides and isolates, deprecated formatting, interlinear annotation, noncharacters. The marks of
 * right-to-left writing (U+200E, U+200F, U+061C) and the joiners of emoji and of Persian reorder nothing, so they are
 * allowed. The pattern uses no Unicode properties, because some validators of JSON Schema do not know them.
 */
const FORBIDDEN =
  '\\u0000-\\u001F\\u007F-\\u009F\\u2028-\\u202E\\u2066-\\u206F\\uFDD0-\\uFDEF\\uFFF9-\\uFFFB\\uFFFE\\uFFFF';
const SURROGATES = '\\uD800-\\uDFFF';
/** U+1FFFE and U+1FFFF, and so on to U+10FFFF: the last two code points of each plane are noncharacters. */
const ENDS_OF_PLANES =
  '[\\uD83F\\uD87F\\uD8BF\\uD8FF\\uD93F\\uD97F\\uD9BF\\uD9FF\\uDA3F\\uDA7F\\uDABF\\uDAFF\\uDB3F\\uDB7F\\uDBBF\\uDBFF][\\uDFFE\\uDFFF]';
/** A character beyond the first plane. A single surrogate is not a character. */
export const SURROGATE_PAIR = `(?!${ENDS_OF_PLANES})[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]`;
const ALLOWED = `[^${FORBIDDEN}${SURROGATES}]|${SURROGATE_PAIR}`;
/** Characters that are drawn as nothing, beside white space: fillers, joiners, marks, selectors. */
const UNSEEN =
  '\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u200B-\\u200F\\u2060-\\u206F\\u2800\\u3164\\uFE00-\\uFE0F\\uFEFF\\uFFA0\\uFFF0-\\uFFF8';
/**
 * Invisible characters beyond the first plane: marks of shorthand (U+1BCA0) and of music (U+1D159, U+1D173), and the
 * tags (U+E0000).
 */
const UNSEEN_PAIR = '\\uD82F[\\uDCA0-\\uDCA3]|\\uD834[\\uDD59\\uDD73-\\uDD7A]|[\\uDB40-\\uDB43]';
/** A character that a reader sees. */
const VISIBLE = `(?:[^\\s${FORBIDDEN}${UNSEEN}${SURROGATES}]|(?!${UNSEEN_PAIR})${SURROGATE_PAIR})`;

const FORBIDDEN_IN_LINE = new RegExp(`[${FORBIDDEN}${SURROGATES}\\p{Noncharacter_Code_Point}]`, 'gu');
/** A text of several lines may contain only `\n` and tab of the control characters, and no `\r`. */
const FORBIDDEN_IN_LINES = new RegExp(
  `(?![\\n\\t])[${FORBIDDEN}${SURROGATES}\\p{Noncharacter_Code_Point}]`,
  'gu',
);
const LINE = new RegExp(`^(?:${ALLOWED})*$`);
const VISIBLE_LINE = new RegExp(`^(?=[\\s\\S]*?${VISIBLE})(?:${ALLOWED})*$`);
/** The pattern of a text of several lines. */
export const LINES = new RegExp(`^(?=[\\s\\S]*?${VISIBLE})(?:[\\n\\t]|${ALLOWED})*$`);

const SAYS_LINE = 'must not hold control characters, line ends or bidirectional overrides';

/** One line that people or logs show; it may be empty. */
export const lineText = (maxLength: number): z.ZodString => z.string().max(maxLength).regex(LINE, SAYS_LINE);

/**
 * A name that people read. The schema trims it, collapses white space and composes letters (NFC), so that names that
 * look the same are equal.
 */
export const nameText = (maxLength: number): z.ZodString =>
  z
    .string()
    .regex(VISIBLE_LINE, `${SAYS_LINE}, and must show something`)
    .overwrite((text) => text.normalize('NFC').replace(/\s+/gu, ' ').trim())
    .min(1)
    .max(maxLength);

/** A text of several lines that people read. The schema trims it. */
export const linesText = (maxLength: number): z.ZodString =>
  z
    .string()
    .regex(LINES, 'must show something, and hold no control characters but \\n and tab')
    .trim()
    .min(1)
    .max(maxLength);

/** A text that a program reads. @param pattern - matches the whole text: begins with `^` and ends with `$` */
export const patternText = (pattern: RegExp, maxLength: number, message: string): z.ZodString =>
  z.string().max(maxLength).regex(pattern, message);

/** An identifier that needs no quoting in keys, links and records. */
export const plainId = (maxLength: number): z.ZodString =>
  patternText(/^[A-Za-z0-9_-]+$/, maxLength, 'may hold letters, digits, "_" and "-" only').min(1);

/** A JWT in its compact form (RFC 7519): base64url and dots. */
export const TOKEN_TEXT = patternText(/^[A-Za-z0-9_.-]+$/, 4_096, 'must be a token in compact form').min(1);

/** An http or https URL as it goes over the wire: no spaces, no letters beyond ASCII. */
export const HTTP_URL = z
  .url({ protocol: /^https?$/ })
  .max(512)
  .regex(/^[\x21-\x7e]+$/, 'must be written in ASCII');

/** An IP address or a host name. */
export const HOST_TEXT = patternText(/^[A-Za-z0-9.:_-]+$/, 255, 'must be an IP address or a host name');

/** The position at which a page of the roster begins; empty for the first page. */
export const CURSOR_TEXT = patternText(/^[A-Za-z0-9_-]{0,64}$/, 64, 'must be a cursor that a page gave');

/**
 * A text that is only compared, or that its reader parses by another schema, such as a record of the store or the
 * body of an answer. It is never shown, logged or forwarded unchanged.
 */
export const OPAQUE_TEXT = z.custom<string>((value) => typeof value === 'string', 'must be a text');

/** A key in base64. */
export const KEY_BASE64 = z.base64().max(128);

/** Makes a text safe for one line of a log or an error: each forbidden character becomes U+FFFD. */
export function oneLine(text: string): string {
  return text.replace(FORBIDDEN_IN_LINE, '\uFFFD');
}

/** Cleans text that a person typed or pasted, for a chat message. */
export function cleanLines(text: string): string {
  return text.replace(/\r\n?/gu, '\n').replace(FORBIDDEN_IN_LINES, '');
}

/** Cleans text that a person typed or pasted, for a name. */
export function cleanLine(text: string): string {
  return text.replace(/\s+/gu, ' ').replace(FORBIDDEN_IN_LINE, '');
}
