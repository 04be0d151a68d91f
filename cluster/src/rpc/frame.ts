/**
 * Measures a Socket.IO frame before it is parsed: a stranger's message must cost no more than its bytes (SPEC EN1).
 * Functions that walk a value, such as `JSON.stringify`, are recursive, and a few kilobytes of brackets overflow
 * their stack.
 */

/**
 * The deepest nesting that is accepted: deeper than any message of the protocol, and far below the depth at which
 * recursion overflows.
 */
export const MAX_FRAME_DEPTH = 32;
/** The longest event name that is looked up. */
const MAX_NAME_LENGTH = 64;

/** The reasons why a frame or its payload is not read: a closed set, since it is a label of metrics. */
export type FrameReason =
  | 'ack_number'
  | 'binary'
  | 'ill_formed_text'
  | 'name'
  | 'namespace'
  | 'not_json'
  | 'not_text'
  | 'too_deep'
  | 'too_long'
  | 'type'
  | 'twice';

/** Replaces the payload of a message that was measured and not parsed. No sender can create one: JSON contains no instances. */
export class UnreadPayload {
  readonly reason: FrameReason;
  readonly code: 'malformed_message' | 'message_too_large' | 'unknown_message';
  readonly detail: string;

  constructor(reason: FrameReason, code: UnreadPayload['code'], detail: string) {
    this.reason = reason;
    this.code = code;
    this.detail = detail;
  }
}

/** A frame outside the protocol; its connection closes. */
export class FrameFault extends Error {
  override readonly name = 'FrameFault';
  readonly reason: FrameReason;

  constructor(reason: FrameReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface FrameLimits {
  /** The digits of the accepted packet types. */
  readonly types: string;
  /** The longest payload, measured on its JSON as it was sent: in UTF-16 units, or in the unit of `lengthOf`. */
  readonly maxLength: number;
  /** Absent in browsers, which cannot count bytes without encoding. */
  readonly lengthOf?: ((text: string) => number) | undefined;
  /** Whether texts must be well-formed Unicode, so that every store and every peer keeps them unchanged. */
  readonly wellFormed: boolean;
}

/** The treatment of a frame: it is parsed, or its payload stays unread and the message is answered with the reason. */
export type FrameVerdict =
  | { readonly read: true; readonly type: string }
  | {
      readonly read: false;
      readonly type: string;
      readonly id: number | undefined;
      readonly name: string | undefined;
      readonly payload: UnreadPayload;
    };

const CONNECT = '0';
const EVENT = '2';
const ACK = '3';
/** Names that Node's or Socket.IO's emitters reserve. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'connect',
  'connection',
  'connect_error',
  'disconnect',
  'disconnecting',
  'error',
  'newListener',
  'removeListener',
]);
const NAME = /^\["([A-Za-z][A-Za-z0-9._-]*)"[\],]/;

/** @throws FrameFault if the frame is outside the protocol */
export function judgeFrame(text: string, limits: FrameLimits): FrameVerdict {
  const type = text.charAt(0);
  if (type === '5' || type === '6') throw new FrameFault('binary', 'Binary packets are not taken.');
  if (type === '' || !limits.types.includes(type)) {
    throw new FrameFault('type', `A packet of type ${JSON.stringify(type)} is not taken here.`);
  }
  if (text.charAt(1) === '/') throw new FrameFault('namespace', 'There is only the namespace /.');
  const { id, end } = readNumber(text, type);
  const payload = text.slice(end);
  const payloadLength = limits.lengthOf?.(payload) ?? payload.length;
  if (type !== EVENT && type !== ACK) {
    // A packet that opens or closes a namespace is no message, and nobody awaits an answer to it.
    if (payloadLength > limits.maxLength) throw new FrameFault('too_long', 'The packet is too long.');
    const fault = payload === '' ? undefined : measure(payload, limits.wellFormed);
    if (fault !== undefined) throw new FrameFault(fault, SAYS[fault]);
    return { read: true, type };
  }
  if (payload.charAt(0) !== '[') throw new FrameFault('not_json', 'A message is a JSON array.');
  const name = type === EVENT ? nameOf(payload) : undefined;
  const unread = (reason: FrameReason, code: UnreadPayload['code'], detail: string): FrameVerdict => ({
    read: false,
    type,
    id,
    name: reason === 'name' ? undefined : name,
    payload: new UnreadPayload(reason, code, detail),
  });
  if (type === EVENT && name === undefined) return unread('name', 'unknown_message', 'It has no such name.');
  // A name consists of ASCII characters.
  const length = payloadLength - (name === undefined ? 2 : name.length + '["",]'.length);
  if (length > limits.maxLength) return unread('too_long', 'message_too_large', SAYS.too_long);
  const fault = measure(payload, limits.wellFormed);
  return fault === undefined ? { read: true, type } : unread(fault, 'malformed_message', SAYS[fault]);
}

const SAYS: Readonly<Record<'too_deep' | 'too_long' | 'ill_formed_text', string>> = {
  too_deep: `It is nested deeper than ${MAX_FRAME_DEPTH} levels.`,
  too_long: 'It is too long.',
  ill_formed_text: 'A text in it has one half of a surrogate pair without the other.',
};

/** The acknowledgement number: a safe integer, since the answer must repeat the same digits. */
function readNumber(text: string, type: string): { readonly id: number | undefined; readonly end: number } {
  let end = 1;
  while (isDigit(text.charCodeAt(end))) end += 1;
  if (end === 1) {
    if (type === ACK) throw new FrameFault('ack_number', 'An acknowledgement has a number.');
    return { id: undefined, end };
  }
  const digits = text.slice(1, Math.min(end, 20));
  const id = Number(digits);
  if (type === CONNECT || !Number.isSafeInteger(id) || String(id) !== digits || digits.length !== end - 1) {
    throw new FrameFault('ack_number', 'An acknowledgement number is a whole number below 2^53.');
  }
  return { id, end };
}

/** The name of an event in its array, if it is a usable one. */
function nameOf(payload: string): string | undefined {
  const [, name] = NAME.exec(payload.slice(0, MAX_NAME_LENGTH + 4)) ?? [];
  return name === undefined || name.length > MAX_NAME_LENGTH || RESERVED_NAMES.has(name) ? undefined : name;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SMALL_U = 0x75;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

/**
 * Measures in one pass, without copies, how deep brackets nest, and whether each escaped surrogate has its other
 * half. The parser finds invalid JSON later.
 */
function measure(text: string, wellFormed: boolean): 'too_deep' | 'ill_formed_text' | undefined {
  const [array, object] = OPENING;
  const [arrayEnd, objectEnd] = CLOSING;
  let depth = 0;
  let index = 0;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === array || code === object) {
      depth += 1;
      if (depth > MAX_FRAME_DEPTH) return 'too_deep';
    } else if (code === arrayEnd || code === objectEnd) depth -= 1;
    else if (code === QUOTE) {
      const end = endOfString(text, index + 1, wellFormed);
      if (end === undefined) return 'ill_formed_text';
      index = end;
    }
    index += 1;
  }
  return undefined;
}

/** The end of a string: its closing quote, or the end of the text. @returns `undefined` for half a surrogate pair */
function endOfString(text: string, start: number, wellFormed: boolean): number | undefined {
  let index = start;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) return index;
    if (code !== BACKSLASH) index += 1;
    else if (!wellFormed || text.charCodeAt(index + 1) !== SMALL_U) index += 2;
    else {
      const half = surrogateAt(text, index);
      if (half === 'low') return undefined;
      if (half === 'high') {
        if (surrogateAt(text, index + 6) !== 'low') return undefined;
        index += 6;
      }
      index += 6;
    }
  }
  return index;
}

/** The half of a surrogate pair that is escaped here, by its first two hexadecimal digits. */
function surrogateAt(text: string, index: number): 'high' | 'low' | undefined {
  if (text.charCodeAt(index) !== BACKSLASH || text.charCodeAt(index + 1) !== SMALL_U) return undefined;
  const first = text.charAt(index + 2);
  if (first !== 'd' && first !== 'D') return undefined;
  const second = text.charAt(index + 3);
  if ('89abAB'.includes(second)) return 'high';
  return 'cdefCDEF'.includes(second) ? 'low' : undefined;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
