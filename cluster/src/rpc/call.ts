import type { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { REPLY_ENVELOPE } from '../protocol/define.ts';
import type {
  ReplyOf,
  RequestDefinition,
  RequestInputOf,
  RequestName,
  RequestTable,
} from '../protocol/define.ts';
import { describeIssues } from './route.ts';

/**
 * The part of a Socket.IO client socket that a call needs: emits with an acknowledgement and rejects after `timeoutMs`
 * or when the connection breaks.
 */
export interface CallSocket {
  readonly connected: boolean;
  timeout(timeoutMs: number): { emitWithAck(name: string, payload: unknown): Promise<unknown> };
}

/**
 * Sends one request and returns its parsed reply.
 * @throws PlenaryError the error that the other side answered; `media_unavailable` if the link is down; `timed_out`
 * if no answer came within `timeoutMs` or the link broke meanwhile, so that it is unknown whether the request was
 * carried out; `internal` if the answer does not fit its schema
 */
export async function call<Payload extends z.ZodType, Reply extends z.ZodType>(
  socket: CallSocket,
  name: string,
  definition: RequestDefinition & { readonly payload: Payload; readonly reply: Reply },
  payload: z.input<Payload>,
  timeoutMs: number,
): Promise<z.output<Reply>> {
  if (!socket.connected) throw new PlenaryError('media_unavailable', `The control link is down (${name}).`);
  let answer: unknown;
  try {
    answer = await socket.timeout(timeoutMs).emitWithAck(name, payload);
  } catch (cause) {
    throw new PlenaryError('timed_out', `No answer to ${name}.`, { cause });
  }
  const envelope = REPLY_ENVELOPE.safeParse(answer);
  if (!envelope.success) throw new PlenaryError('internal', `Malformed answer to ${name}.`);
  if (!envelope.data.ok) throw PlenaryError.fromWire(envelope.data.error);
  const reply = definition.reply.safeParse(envelope.data.data);
  if (!reply.success) {
    throw new PlenaryError('internal', `Malformed reply to ${name}: ${describeIssues(reply.error)}`);
  }
  return reply.data;
}

/**
 * Like {@link call}, for a request of a protocol's table.
 * @throws PlenaryError as {@link call}
 */
export async function callFrom<Table extends RequestTable, Name extends RequestName<Table>>(
  socket: CallSocket,
  table: Table,
  name: Name,
  payload: RequestInputOf<Table, Name>,
  timeoutMs: number,
): Promise<ReplyOf<Table, Name>> {
  const definition: Table[Name] = table[name];
  return call<Table[Name]['payload'], Table[Name]['reply']>(socket, name, definition, payload, timeoutMs);
}
