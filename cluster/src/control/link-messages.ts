import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { REPLY_ENVELOPE } from '../protocol/define.ts';
import { patternText } from '../protocol/text.ts';
import { judgeFrame } from '../rpc/frame.ts';
import { CONTROL_MESSAGE_LIMIT } from '../rpc/link-options.ts';

/** The Socket.IO events of the node's challenge, the caller's proof, and all messages after them. */
export const LINK_EVENTS = { challenge: 'challenge', proof: 'proof', sealed: 'sealed' } as const;

/**
 * Encrypted messages have the form of Socket.IO packets: a request `2ID["name",payload]`, a reply `3ID[envelope]`, a
 * notice `2["name",payload]`. So they are measured before they are parsed, like those (SPEC EN1).
 */
export const requestText = (id: number, name: string, payload: unknown): string =>
  `2${id}${JSON.stringify([name, payload])}`;
export const replyText = (id: number, envelope: unknown): string => `3${id}${JSON.stringify([envelope])}`;
export const noticeText = (name: string, payload: unknown): string => `2${JSON.stringify([name, payload])}`;

interface Message {
  readonly type: string;
  readonly id: number | undefined;
  /** The items of the array, or in their place the reason why it was not read. */
  readonly items: readonly unknown[];
}

/** @throws FrameFault, PlenaryError `malformed_message` */
function readMessage(text: string, types: string): Message {
  const verdict = judgeFrame(text, { types, ...CONTROL_MESSAGE_LIMIT, wellFormed: false });
  if (!verdict.read) {
    const { type, id, name, payload } = verdict;
    return { type, id, items: type === '2' ? [name ?? '', payload] : [payload] };
  }
  const [head, digits = ''] = /^.(\d*)/.exec(text) ?? [''];
  let items: unknown;
  try {
    items = JSON.parse(text.slice(head.length));
  } catch (cause) {
    throw new PlenaryError('malformed_message', 'It is not JSON.', { cause });
  }
  const id = digits === '' ? undefined : Number(digits);
  return { type: verdict.type, id, items: Array.isArray(items) ? items : [] };
}

/** Empty if the frame has no readable name. */
const NAMED = z.tuple([
  patternText(/^[A-Za-z0-9._-]{0,64}$/, 64, 'must be the name of a message'),
  z.unknown(),
]);

export interface SealedRequest {
  readonly id: number;
  readonly name: string;
  readonly payload: unknown;
}

/** @throws FrameFault, PlenaryError `malformed_message` */
export function readRequest(text: string): SealedRequest {
  const { id, items } = readMessage(text, '2');
  const named = NAMED.safeParse(items);
  if (id === undefined || !named.success) {
    throw new PlenaryError('malformed_message', 'A request has a number, a name and one payload.');
  }
  const [name, payload] = named.data;
  return { id, name, payload };
}

export type SealedAnswer =
  | { readonly kind: 'reply'; readonly id: number; readonly envelope: z.infer<typeof REPLY_ENVELOPE> }
  | { readonly kind: 'notice'; readonly name: string; readonly payload: unknown };

/** @throws FrameFault, PlenaryError `malformed_message` */
export function readAnswer(text: string): SealedAnswer {
  const { type, id, items } = readMessage(text, '23');
  if (type === '3') {
    const envelope = REPLY_ENVELOPE.safeParse(items[0]);
    if (id !== undefined && envelope.success) return { kind: 'reply', id, envelope: envelope.data };
  } else {
    const named = NAMED.safeParse(items);
    if (named.success) return { kind: 'notice', name: named.data[0], payload: named.data[1] };
  }
  throw new PlenaryError('malformed_message', 'It is neither a reply nor a notice.');
}
