import { callFrom } from '../../rpc/call.ts';
import type { CallSocket } from '../../rpc/call.ts';
import type {
  ReplyEnvelope,
  ReplyOf,
  RequestInputOf,
  RequestName,
  RequestTable,
} from '../../protocol/define.ts';
import type { Label } from './virtual-time.ts';
import type { Net, Wire } from './wire.ts';

/** Carries a request out where it arrives. Never rejects. */
export type AnswerCall = (name: string, payload: unknown) => Promise<ReplyEnvelope>;

/**
 * Requests over one wire, from the caller to the callee, as Socket.IO's acknowledgements: an answer that comes too late, or
 * not at all, is a failure of which the caller does not know whether the request was carried out.
 */
export class Calls<Table extends RequestTable> implements CallSocket {
  readonly #net: Net;
  readonly #wire: Wire;
  readonly #table: Table;
  readonly #mayDouble: (name: string) => boolean;
  readonly #answer: AnswerCall;
  readonly #waiting = new Set<(fault: Error) => void>();

  /** @param mayDouble - whether a request may be repeated, as a caller does that got no answer */
  constructor(net: Net, wire: Wire, table: Table, mayDouble: (name: string) => boolean, answer: AnswerCall) {
    this.#net = net;
    this.#wire = wire;
    this.#table = table;
    this.#mayDouble = mayDouble;
    this.#answer = answer;
  }

  get connected(): boolean {
    return this.#wire.isOpen('caller');
  }

  /** @throws PlenaryError as `call` of the product does */
  ask<Name extends RequestName<Table>>(
    name: Name,
    payload: RequestInputOf<Table, Name>,
    timeoutMs: number,
  ): Promise<ReplyOf<Table, Name>> {
    return callFrom(this, this.#table, name, payload, timeoutMs);
  }

  timeout(timeoutMs: number): { emitWithAck(name: string, payload: unknown): Promise<unknown> } {
    return { emitWithAck: (name, payload) => this.#emit(name, payload, timeoutMs) };
  }

  /** The caller's side of the wire is gone. */
  broken(): void {
    for (const reject of [...this.#waiting]) reject(new Error('the connection broke'));
  }

  #emit(name: string, payload: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        fail(new Error('no answer in time'));
      }, timeoutMs);
      const fail = (fault: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(fail);
        reject(fault);
      };
      this.#waiting.add(fail);
      const told: Label = () => `${name} ${describe(payload)}`;
      const carryOut = async (): Promise<void> => {
        const envelope = await this.#answer(name, payload);
        this.#wire.send(
          'caller',
          () => `${name}: ${outcomeOf(envelope)}`,
          () => {
            if (!this.#waiting.delete(fail)) return;
            clearTimeout(timer);
            resolve(envelope);
          },
        );
      };
      this.#wire.send('callee', told, () => void carryOut());
      const { random, weather } = this.#net;
      if (this.#mayDouble(name) && random.chance(weather.double))
        this.#wire.send(
          'callee',
          () => `${told()} (again)`,
          () => void carryOut(),
        );
    });
  }
}

function outcomeOf(envelope: ReplyEnvelope): string {
  return envelope.ok ? `ok ${describe(envelope.data)}` : envelope.error.code;
}

/** The short values of a message, for the trace. */
export function describe(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null) return '';
  const told: string[] = [];
  for (const [name, value] of Object.entries(payload)) {
    if (
      typeof value === 'string' ||
      typeof value === 'number' ||
      typeof value === 'boolean' ||
      value === null
    )
      told.push(`${name}=${String(value)}`);
    else if (Array.isArray(value)) told.push(`${name}×${value.length}`);
  }
  return told.join(' ');
}
