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
import { SignOfLife } from './sign-of-life.ts';
import type { SignallingConnection, SignallingHandlers, SignallingPort } from './signalling-port.ts';

/** One notice of the edge, parsed. */
export type ParsedNotice = {
  [Name in EdgeNoticeName]: { readonly name: Name; readonly payload: EdgeNotice<Name> };
}[EdgeNoticeName];

export interface EdgeLinkHandlers {
  opened(): void;
  closed(reason: string): void;
  /** Nothing at all came from the edge since this request was sent, although it should have been answered by now. */
  silent(request: ClientRequestName): void;
  notice(notice: ParsedNotice): void;
}

interface Pending {
  readonly reject: (error: PlenaryError) => void;
  readonly name: ClientRequestName;
  /** By `performance.now()`. */
  readonly sentMs: number;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly silenceTimer: ReturnType<typeof setTimeout> | undefined;
}

/** For these the edge takes its time when many come at once; whoever asks has deadlines of their own. */
const ENTRIES: ReadonlySet<ClientRequestName> = new Set<ClientRequestName>(['join', 'resume']);
/**
 * How long an edge may say nothing at all that is asked because media has fallen silent, in milliseconds: then it is likely
 * that the edge is gone as well. What else is asked is {@link SignOfLife}'s concern.
 */
const SILENCE_OF_BOTH_MS: Partial<Readonly<Record<ClientRequestName, number>>> = {
  'media.check': 1_000,
  'transport.restartIce': 2_000,
};

/** Parses a reply by the schema of its request. Its own function, since only here the name's type is still open. */
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
 * One connection to one edge, speaking the protocol: both directions are checked, every request ends by its answer,
 * its deadline or the connection's end. Never used again once closed.
 */
export class EdgeLink {
  readonly url: string;
  readonly #connection: SignallingConnection;
  readonly #counters: Counters;
  readonly #log: ClientLog;
  readonly #pending = new Set<Pending>();
  readonly #silent: (request: ClientRequestName) => void;
  /** Who waits until nothing is under way. */
  readonly #settling = new Set<() => void>();
  readonly #signOfLife: SignOfLife;
  #connectionId = '';
  #lastHeardMs = 0;
  #state: 'opening' | 'open' | 'closed' = 'opening';

  constructor(
    port: SignallingPort,
    url: string,
    handlers: EdgeLinkHandlers,
    environment: { readonly counters: Counters; readonly log: ClientLog; readonly connectTimeoutMs: number },
  ) {
    this.url = url;
    this.#silent = (request) => handlers.silent(request);
    this.#counters = environment.counters;
    this.#log = environment.log;
    this.#signOfLife = new SignOfLife({
      owedSinceMs: () => this.#owedSinceMs(),
      ask: () => this.#check(),
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
        this.#end(reason);
        handlers.closed(reason);
      },
      notice: (name, payload) => {
        this.#heard();
        if (this.#state !== 'closed') this.#receive(name, payload, handlers);
      },
    };
    this.#connection = port.open(url, handling, environment.connectTimeoutMs);
  }

  /** What the edge calls this connection; empty until it is open. */
  get connectionId(): string {
    return this.#connectionId;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /**
   * Sends a request and gives its parsed reply.
   *
   * @throws PlenaryError the edge's error, `timed_out`, or `malformed_message` when either side breaks the schema
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
      const silenceMs = SILENCE_OF_BOTH_MS[name];
      const pending: Pending = {
        reject,
        name,
        sentMs,
        silenceTimer:
          silenceMs === undefined
            ? undefined
            : setTimeout(() => {
                if (this.#lastHeardMs < sentMs) this.#silent(name);
              }, silenceMs),
        timer: setTimeout(() => {
          this.#ended(pending);
          this.#counters.timedOut += 1;
          reject(new PlenaryError('timed_out', `${name} after ${timeoutMs} ms.`));
        }, timeoutMs),
      };
      this.#pending.add(pending);
      if (!ENTRIES.has(name)) this.#signOfLife.watch();
      this.#connection.send(name, outgoing.data, (envelope) => {
        this.#heard();
        if (!this.#ended(pending)) return;
        try {
          const parsed = REPLY_ENVELOPE.parse(envelope);
          if (parsed.ok) resolve(parseReply(name, parsed.data));
          else reject(PlenaryError.fromWire(parsed.error));
        } catch (thrown) {
          this.#counters.malformed += 1;
          this.#log.warn(`the reply to ${name} does not fit its schema`, thrown);
          reject(new PlenaryError('malformed_message', `The reply to ${name}.`, { cause: thrown }));
        }
      });
    });
  }

  /** Sends a request whose answer nobody can wait for, as on `pagehide`. */
  sendWithoutWaiting(name: 'leave'): void {
    if (this.#state === 'open') this.#connection.send(name, {}, () => undefined);
  }

  /** Resolves when no request is under way any more, or after `withinMs` milliseconds. */
  settled(withinMs: number): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#settling.delete(settle);
        resolve();
      };
      const timer = setTimeout(settle, withinMs);
      this.#settling.add(settle);
    });
  }

  /** Ends the connection; its open requests fail with `timed_out`. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#end('closed by the client');
    this.#connection.close();
  }

  #end(reason: string): void {
    this.#state = 'closed';
    this.#signOfLife.stop();
    for (const pending of this.#pending) {
      this.#ended(pending);
      pending.reject(new PlenaryError('timed_out', `The connection closed: ${reason}.`));
    }
  }

  #heard(): void {
    this.#lastHeardMs = performance.now();
    if (this.#state !== 'closed') this.#signOfLife.heard();
  }

  #owedSinceMs(): number | undefined {
    // In the order in which they were sent.
    for (const { name, sentMs } of this.#pending) if (!ENTRIES.has(name)) return sentMs;
    return undefined;
  }

  #check(): void {
    this.request('edge.check', {}).catch((thrown: unknown) => {
      // Any answer is a sign of life, also a refusal.
      this.#log.warn('the edge was asked for a sign of life', thrown);
    });
  }

  /** @returns whether the request was still under way */
  #ended(pending: Pending): boolean {
    clearTimeout(pending.timer);
    clearTimeout(pending.silenceTimer);
    const wasUnderWay = this.#pending.delete(pending);
    if (this.#pending.size === 0) {
      this.#signOfLife.rest();
      for (const settle of this.#settling) settle();
    }
    return wasUnderWay;
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
    if (notice.name === 'head') this.#signOfLife.speaksByItself();
    handlers.notice(notice);
  }
}
