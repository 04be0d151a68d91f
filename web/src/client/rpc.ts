import { PlenaryError } from '@plenary/cluster/errors';
import {
  CLIENT_REQUESTS,
  EDGE_NOTICES,
  REPLY_ENVELOPE,
  REQUEST_TIMEOUT_MS,
  type ClientReply,
  type ClientRequestInput,
  type ClientRequestName,
  type EdgeNotice,
  type EdgeNoticeName,
} from '@plenary/cluster/protocol';
import type { ClientLog, Counters } from './counters.ts';
import { LivenessProbe } from './liveness-probe.ts';
import type { SignallingConnection, SignallingHandlers, SignallingPort } from './signalling-port.ts';

/** One notice of the edge, parsed. */
export type ParsedNotice = {
  [Name in EdgeNoticeName]: { readonly name: Name; readonly payload: EdgeNotice<Name> };
}[EdgeNoticeName];

export interface EdgeLinkHandlers {
  opened(): void;
  closed(reason: string): void;
  /** No message has arrived from the edge since this request, although the reply is overdue. */
  silent(request: ClientRequestName): void;
  notice(notice: ParsedNotice): void;
}

interface Pending {
  readonly reject: (error: PlenaryError) => void;
  readonly name: ClientRequestName;
  /** Time of sending, by `performance.now()`. */
  readonly sentMs: number;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly silenceTimer: ReturnType<typeof setTimeout> | undefined;
}

/** Requests that take longer when many clients enter at once. The caller has its own deadline for them. */
const ENTRY_REQUESTS: ReadonlySet<ClientRequestName> = new Set<ClientRequestName>(['join', 'resume']);
/**
 * Time limit for any message of the edge after a request that was sent because no media arrives, in milliseconds. An edge that is silent
 * too is then probably down. {@link LivenessProbe} handles all other requests.
 */
const SILENT_MEDIA_EDGE_TIMEOUT_MS: Partial<Readonly<Record<ClientRequestName, number>>> = {
  'media.check': 1_000,
  'transport.restartIce': 2_000,
};

/** Parses a reply by the schema of its request. A separate function, because the type of the name is generic only here. */
function parseReply<Name extends ClientRequestName>(name: Name, data: unknown): ClientReply<Name> {
  // The table's row for `Name` has exactly this output; TypeScript cannot follow the index through the union.
  return CLIENT_REQUESTS[name].reply.parse(data) as ClientReply<Name>;
}

function parseNotice(name: string, payload: unknown): ParsedNotice | undefined {
  if (!Object.hasOwn(EDGE_NOTICES, name)) return undefined;
  const known = name as EdgeNoticeName;
  return { name: known, payload: EDGE_NOTICES[known].payload.parse(payload) } as ParsedNotice;
}

/**
 * One protocol connection to one edge. Messages of both directions are validated. Every request ends with its answer, its deadline or the
 * end of the connection. A closed link is never reused.
 */
export class EdgeLink {
  readonly url: string;
  readonly #connection: SignallingConnection;
  readonly #counters: Counters;
  readonly #log: ClientLog;
  readonly #pending = new Set<Pending>();
  readonly #reportSilence: (request: ClientRequestName) => void;
  /** Callbacks of {@link whenIdle}. */
  readonly #idleWaiters = new Set<() => void>();
  readonly #liveness: LivenessProbe;
  #connectionId = '';
  #lastReceivedMs = 0;
  #state: 'opening' | 'open' | 'closed' = 'opening';

  constructor(
    port: SignallingPort,
    url: string,
    handlers: EdgeLinkHandlers,
    environment: { readonly counters: Counters; readonly log: ClientLog; readonly connectTimeoutMs: number },
  ) {
    this.url = url;
    this.#reportSilence = (request) => handlers.silent(request);
    this.#counters = environment.counters;
    this.#log = environment.log;
    this.#liveness = new LivenessProbe({
      oldestRequestMs: () => this.#oldestRequestMs(),
      probe: () => this.#probe(),
      silent: () => handlers.silent('edge.check'),
    });
    const handling: SignallingHandlers = {
      opened: (connectionId) => {
        if (this.#state !== 'opening') return;
        this.#state = 'open';
        this.#connectionId = connectionId;
        handlers.opened();
      },
      closed: (reason) => {
        if (this.#state === 'closed') return;
        this.#closeLink(reason);
        handlers.closed(reason);
      },
      notice: (name, payload) => {
        this.#noteReceived();
        if (this.#state !== 'closed') this.#receive(name, payload, handlers);
      },
    };
    this.#connection = port.open(url, handling, environment.connectTimeoutMs);
  }

  /** The edge's id of this connection; empty until it is open. */
  get connectionId(): string {
    return this.#connectionId;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /**
   * Sends a request and returns its parsed reply.
   *
   * @throws PlenaryError the edge's error, `timed_out`, or `malformed_message` when a message of either side violates the schema
   */
  request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<ClientReply<Name>> {
    const outgoing = CLIENT_REQUESTS[name].payload.safeParse(payload);
    if (!outgoing.success) {
      return Promise.reject(
        new PlenaryError('malformed_message', `${name}: ${outgoing.error.message}`, {
          cause: outgoing.error,
        }),
      );
    }
    if (this.#state === 'closed') {
      return Promise.reject(new PlenaryError('timed_out', `${name}: the connection is closed.`));
    }
    return new Promise((resolve, reject) => {
      const sentMs = performance.now();
      const silenceMs = SILENT_MEDIA_EDGE_TIMEOUT_MS[name];
      const pending: Pending = {
        reject,
        name,
        sentMs,
        silenceTimer:
          silenceMs === undefined
            ? undefined
            : setTimeout(() => {
                if (this.#lastReceivedMs < sentMs) this.#reportSilence(name);
              }, silenceMs),
        timer: setTimeout(() => {
          this.#removePending(pending);
          this.#counters.timedOut += 1;
          reject(new PlenaryError('timed_out', `${name} after ${timeoutMs} ms.`));
        }, timeoutMs),
      };
      this.#pending.add(pending);
      if (!ENTRY_REQUESTS.has(name)) this.#liveness.requestSent();
      this.#connection.send(name, outgoing.data, (envelope) => {
        this.#noteReceived();
        if (!this.#removePending(pending)) return;
        try {
          const parsed = REPLY_ENVELOPE.parse(envelope);
          if (parsed.ok) resolve(parseReply(name, parsed.data));
          else reject(PlenaryError.fromWire(parsed.error));
        } catch (thrown) {
          this.#counters.malformed += 1;
          this.#log.warn(`the reply to ${name} does not fit its schema`, thrown);
          reject(new PlenaryError('malformed_message', `It is the reply to ${name}.`, { cause: thrown }));
        }
      });
    });
  }

  /** Sends a request without waiting for its answer, for example on `pagehide`. */
  sendWithoutWaiting(name: 'leave'): void {
    if (this.#state === 'open') this.#connection.send(name, {}, () => undefined);
  }

  /** Resolves when no request is pending, or after `withinMs` milliseconds. */
  whenIdle(withinMs: number): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#idleWaiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#idleWaiters.add(done);
    });
  }

  /** Closes the connection; its pending requests fail with `timed_out`. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#closeLink('closed by the client');
    this.#connection.close();
  }

  #closeLink(reason: string): void {
    this.#state = 'closed';
    this.#liveness.stop();
    for (const pending of this.#pending) {
      this.#removePending(pending);
      pending.reject(new PlenaryError('timed_out', `The connection closed: ${reason}.`));
    }
  }

  #noteReceived(): void {
    this.#lastReceivedMs = performance.now();
    if (this.#state !== 'closed') this.#liveness.received();
  }

  #oldestRequestMs(): number | undefined {
    // The set is in the order of sending.
    for (const { name, sentMs } of this.#pending) if (!ENTRY_REQUESTS.has(name)) return sentMs;
    return undefined;
  }

  #probe(): void {
    this.request('edge.check', {}).catch((thrown: unknown) => {
      // Any answer shows that the edge is alive, also a refusal.
      this.#log.warn('the liveness probe of the edge failed', thrown);
    });
  }

  /** @returns whether the request was still pending */
  #removePending(pending: Pending): boolean {
    clearTimeout(pending.timer);
    clearTimeout(pending.silenceTimer);
    const wasPending = this.#pending.delete(pending);
    if (this.#pending.size === 0) {
      this.#liveness.allAnswered();
      for (const done of this.#idleWaiters) done();
    }
    return wasPending;
  }

  #receive(name: string, payload: unknown, handlers: EdgeLinkHandlers): void {
    let notice: ParsedNotice | undefined;
    try {
      notice = parseNotice(name, payload);
    } catch (thrown) {
      this.#counters.malformed += 1;
      this.#log.warn(`the notice ${name} does not fit its schema`, thrown);
      return;
    }
    if (notice === undefined) {
      this.#counters.unknownNotices += 1;
      this.#log.warn(`unknown notice ${name}`);
      return;
    }
    if (notice.name === 'head') this.#liveness.expectNotices();
    handlers.notice(notice);
  }
}
