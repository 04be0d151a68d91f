import type { ClientRequestName, ReplyEnvelope } from '@plenary/cluster/protocol';
import { PlenaryError, tellEntryFault, UnreadPayload } from '@plenary/cluster';
import type { ErrorCode, Route } from '@plenary/cluster';
import { REQUEST_COSTS, UNKNOWN_COST } from '../limits/cost.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { ClientConnection } from '../entry/client-connection.ts';
import { phasesOf } from '../entry/socket-state.ts';
import type { IncomingMessage } from '../transport/client-socket.ts';

/** Requests of one socket that may be under way at a time. */
export const MAX_REQUESTS_UNDER_WAY = 64;

export type DispatchTable = Readonly<Record<ClientRequestName, Route<ClientConnection>>>;

export interface DispatcherSettings {
  readonly table: DispatchTable;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Carries each message of a client to its handler, if it fits: its rate, its name, its size, the state of the connection,
 * and, in the route, its schema (SPEC SE1, RL1, ER2). Whatever comes, one answer goes out, and nothing is thrown.
 */
export class Dispatcher {
  readonly #settings: DispatcherSettings;

  constructor(settings: DispatcherSettings) {
    this.#settings = settings;
  }

  async onMessage(message: IncomingMessage, connection: ClientConnection): Promise<void> {
    const { metrics, reportFault } = this.#settings;
    const name = this.#nameOf(message);
    const verdict = connection.charge({ work: name === undefined ? UNKNOWN_COST : REQUEST_COSTS[name] });
    if (verdict === 'flooding') {
      count(metrics, name, 'flooding');
      connection.socket.bye(new PlenaryError('flooding'));
      return;
    }
    const reply =
      verdict === 'rate_limited' ? refusal('rate_limited') : await this.#answer(name, message, connection);
    count(metrics, name, reply.ok ? 'ok' : reply.error.code);
    if (!reply.ok && reply.error.code === 'flooding') {
      connection.socket.bye(new PlenaryError('flooding'));
      return;
    }
    try {
      if (message.acknowledge !== undefined) message.acknowledge(reply);
      else if (!reply.ok) connection.socket.notify('refused', reply.error);
    } catch (fault) {
      reportFault('socket', fault, { doing: 'answering' });
    }
  }

  /** What is thrown beside the routes, which throw nothing, is a bug; it is answered all the same. */
  async #answer(
    name: ClientRequestName | undefined,
    message: IncomingMessage,
    connection: ClientConnection,
  ): Promise<ReplyEnvelope> {
    try {
      return await this.#carryOut(name, message, connection);
    } catch (fault) {
      tellEntryFault('socket', fault);
      return refusal('internal');
    }
  }

  async #carryOut(
    name: ClientRequestName | undefined,
    message: IncomingMessage,
    connection: ClientConnection,
  ): Promise<ReplyEnvelope> {
    if (name === undefined) return refusal('unknown_message');
    const [payload, ...more] = message.payloads;
    if (message.payloads.length !== 1 || more.length > 0) {
      return refusal('malformed_message', 'A message carries exactly one payload.');
    }
    // Measured as it came, before anything parsed it (SPEC EN1, EN15).
    if (payload instanceof UnreadPayload) return refusal(payload.code, payload.detail);
    const { phase } = connection.state;
    if (!phasesOf(name).includes(phase)) {
      return refusal('out_of_order', `${name} does not fit ${phase}.`);
    }
    if (connection.requestsUnderWay >= MAX_REQUESTS_UNDER_WAY) {
      return refusal('rate_limited', 'Too many requests at a time.');
    }
    connection.requestsUnderWay += 1;
    try {
      return await this.#settings.table[name](payload, connection);
    } finally {
      connection.requestsUnderWay -= 1;
    }
  }

  #nameOf({ name }: IncomingMessage): ClientRequestName | undefined {
    return typeof name === 'string' && isRequestName(this.#settings.table, name) ? name : undefined;
  }
}

function isRequestName(table: DispatchTable, name: string): name is ClientRequestName {
  // `hasOwn`, because a client may well send `constructor`.
  return Object.hasOwn(table, name);
}

function refusal(code: ErrorCode, detail?: string): ReplyEnvelope {
  return { ok: false, error: new PlenaryError(code, detail).toWire() };
}

function count(metrics: EdgeMetrics, name: ClientRequestName | undefined, result: string): void {
  metrics.messages.inc({ name: name ?? 'unknown', result });
}
