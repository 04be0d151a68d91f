import { guardCallback } from '../process/guarded-callbacks.ts';
import { EventEmitter } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import Consul from 'consul';
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { oneLine, OPAQUE_TEXT, patternText } from '../protocol/text.ts';
import { ParsingTurns } from '../registry/reading.ts';
import { describeIssues } from '../rpc/route.ts';
import { consulTroubleOf } from './consul-trouble.ts';
import type { ConsulRefusal, ConsulTrouble } from './consul-trouble.ts';
import type { ConsulSettings } from './settings.ts';

/** The time after which an unanswered request counts as failed, in milliseconds. */
const REQUEST_TIMEOUT_MS = 2_000;
/**
 * How long Consul may hold a blocking query, in seconds; Consul adds up to a sixteenth. It is short, because a
 * connection that was cut silently is noticed only when the answer to its query does not arrive (SPEC HL8).
 */
export const QUERY_WAIT_S = 3;
const QUERY_TIMEOUT_MS = QUERY_WAIT_S * 1_000 * (1 + 1 / 16) + REQUEST_TIMEOUT_MS;

/** A service as the local agent registers it, with one TTL check of the same id. */
export interface ServiceDefinition {
  /** The id of the service and of its check; unique on the agent. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  /** How long the check may go without a renewal before it is critical, in milliseconds. */
  readonly ttlMs: number;
}

const CHECK_STATUS = z.enum(['passing', 'warning', 'critical', 'maintenance']);

/** A key to be set, and its index when it was read; index 0: it must not exist. */
export interface KeyChange {
  readonly key: string;
  readonly value: string;
  readonly index: number;
}

/** One registered service with its checks, as the servers know it. */
export interface ServiceInstance {
  readonly id: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly checks: readonly { readonly id: string; readonly status: z.infer<typeof CHECK_STATUS> }[];
  /** Grows with each registration in its datacenter. */
  readonly createIndex: number;
}

/** The answer to a blocking query. */
export interface ServiceReading {
  /** Passed to the next query, which then waits for a change. */
  readonly index: number;
  readonly instances: readonly ServiceInstance[];
}

export interface KeyReading {
  readonly value: string;
  /** The session that holds the key as a lock. */
  readonly session: string | undefined;
  /** The index for {@link ConsulClient.changeKeys}. */
  readonly index: number;
}

/** Names of datacenters that Consul accepts. */
const DATACENTER = patternText(/^[A-Za-z0-9_-]+$/, 255, 'must be the name of a datacenter');
const SELF = z.object({ Config: z.object({ Datacenter: DATACENTER }) });
const DATACENTERS = z.array(DATACENTER);
/** A UUID in Consul's form. */
export const SESSION_ID = patternText(/^[A-Za-z0-9-]+$/, 64, 'must be the id of a session');
const SESSION = z.object({ ID: SESSION_ID });
const SESSIONS = z.array(SESSION);
const KEY = z.object({
  Value: OPAQUE_TEXT.nullable(),
  Session: SESSION_ID.optional(),
  ModifyIndex: z.number(),
});
const SERVICE_REPLY = z.tuple([
  z.object({ headers: z.object({ 'x-consul-index': z.coerce.number() }) }),
  z.array(z.unknown()),
]);
const INSTANCE = z
  .object({
    Service: z.object({
      ID: OPAQUE_TEXT,
      Meta: z.record(OPAQUE_TEXT, OPAQUE_TEXT).nullable(),
      CreateIndex: z.number(),
    }),
    Checks: z.array(z.object({ CheckID: OPAQUE_TEXT, Status: CHECK_STATUS })),
  })
  .transform(({ Service, Checks }): ServiceInstance => ({
    id: Service.ID,
    meta: Service.Meta ?? {},
    createIndex: Service.CreateIndex,
    checks: Checks.map(({ CheckID, Status }) => ({ id: CheckID, status: Status })),
  }));

/** The part of a refusal that is kept: another server in Consul's place, such as a proxy, may send a whole page. */
const MAX_REFUSAL_LENGTH = 1_000;
/** An answer of Consul that is no success. */
const REFUSAL = z.object({ isResponse: z.literal(true), statusCode: z.int(), response: z.unknown() });
const REFUSAL_TEXT = z.object({
  body: z.union([
    OPAQUE_TEXT,
    z.instanceof(Buffer).transform((bytes) => bytes.toString('utf8')),
    // A refused transaction gives its errors as JSON.
    z.looseObject({}).transform((reply) => JSON.stringify(reply)),
  ]),
});

/** How Consul refused, or `undefined` if it did not answer at all. */
function refusalOf(error: unknown): ConsulRefusal | undefined {
  const refusal = REFUSAL.safeParse(error);
  if (!refusal.success) return undefined;
  const text = REFUSAL_TEXT.safeParse(refusal.data.response);
  return {
    status: refusal.data.statusCode,
    text: text.success ? oneLine(text.data.body.slice(0, MAX_REFUSAL_LENGTH)) : '',
  };
}

/** Consul did not carry out a request; it contains the reason. */
export class ConsulFault extends PlenaryError {
  readonly trouble: ConsulTrouble;

  constructor(trouble: ConsulTrouble, message: string | undefined, cause: unknown) {
    super('store_unavailable', message, { cause });
    this.trouble = trouble;
  }
}

/** Consul refused a request because the token lacks a right, or is wrong. */
export class ConsulForbids extends ConsulFault {
  constructor(cause: unknown) {
    super('access_denied', 'Consul refuses the token.', cause);
  }
}

/** The local agent does not know the check: it has restarted, or removed the service. */
const isUnknownCheck = ({ status, text }: { status: number; text: string }): boolean =>
  status === 404 || /does not have associated TTL|unknown check/i.test(text);

const isUnknownService = ({ status, text }: { status: number; text: string }): boolean =>
  status === 404 || /unknown service/i.test(text);

/** Node's `hostname` expects IPv6 without the brackets of a URL, but the package passes them on. */
const lookupHost: LookupFunction = (host, options, callback) => {
  lookup(host.replace(/^\[(.*)\]$/, '$1'), options, callback);
};

/**
 * Plenary's requests to Consul, typed and with deadlines. Every method throws PlenaryError `store_unavailable` if
 * Consul does not answer, and {@link ConsulForbids} if the token does not suffice.
 */
export class ConsulClient {
  readonly #consul: Consul;
  readonly #agent: HttpAgent;

  constructor({ address, token }: ConsulSettings) {
    const agentOptions = { keepAlive: true, lookup: lookupHost };
    this.#agent = address.secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
    this.#consul = new Consul({
      host: address.host,
      port: address.port,
      secure: address.secure,
      agent: this.#agent,
      ...(token === undefined ? {} : { defaults: { token } }),
    });
  }

  /**
   * Closes all connections after a time-out: they may be dead without notice, and all requests on them would wait for
   * nothing.
   */
  reconnect(): void {
    this.#agent.destroy();
  }

  /** Ends idle connections. */
  close(): void {
    this.#consul.destroy();
  }

  /** The datacenter of the local agent, by Consul's name. */
  async datacenter(): Promise<string> {
    return read(SELF, await guarded(this.#consul.agent.self({ ...bounded }))).Config.Datacenter;
  }

  /**
   * Whether the servers of the local datacenter have a leader. Answered at once, while every other request waits for
   * a leader.
   */
  async hasLeader(): Promise<boolean> {
    const leader: unknown = await guarded(this.#consul.status.leader({ ...bounded }));
    return typeof leader === 'string' && leader !== '';
  }

  /** All joined datacenters, including the local one. */
  async datacenters(): Promise<readonly string[]> {
    return read(DATACENTERS, await guarded(this.#consul.catalog.datacenters({ ...bounded })));
  }

  /** Registers a service with a check that starts as a warning; a registered service keeps the state of its check. */
  async registerService(service: ServiceDefinition): Promise<void> {
    await guarded(
      this.#consul.agent.service.register({
        ...bounded,
        id: service.id,
        name: service.name,
        address: service.address,
        port: service.port,
        meta: { ...service.meta },
        check: {
          name: 'renewed by its announcements',
          checkid: service.id,
          ttl: `${service.ttlMs}ms`,
          timeout: `${service.ttlMs}ms`,
          status: 'warning',
          deregistercriticalserviceafter: '60s',
        },
      }),
    );
  }

  /** Removes a service and its check from the local agent; an agent that has restarted may not know it. */
  async deregisterService(id: string): Promise<void> {
    try {
      await this.#consul.agent.service.deregister({ ...bounded, id });
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined || !isUnknownService(refusal)) throw storeError(error);
    }
  }

  /** Renews a TTL check as passing, or as a warning. @returns whether the agent knows it */
  async renewCheck(id: string, status: 'passing' | 'warning'): Promise<boolean> {
    const { check } = this.#consul.agent;
    try {
      await (status === 'passing' ? check.pass({ ...bounded, id }) : check.warn({ ...bounded, id }));
      return true;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined && isUnknownCheck(refusal)) return false;
      throw storeError(error);
    }
  }

  /** Creates a session that ends if the check becomes critical or the agent's host is lost, and then releases its keys. */
  async createSession(checkId: string): Promise<string> {
    const options = {
      ...bounded,
      behavior: 'delete' as const,
      lockdelay: '0s',
      checks: ['serfHealth', checkId],
    };
    return read(SESSION, await guarded(this.#consul.session.create(options))).ID;
  }

  async destroySession(id: string): Promise<void> {
    await guarded(this.#consul.session.destroy({ ...bounded, id }));
  }

  /** Whether a session still exists. A session that ended never comes back. */
  async sessionLives(id: string, dc?: string): Promise<boolean> {
    const found: unknown = await guarded(this.#consul.session.info({ ...certain, ...inside(dc), id }));
    return found !== undefined;
  }

  /** The existing sessions of a datacenter. */
  async liveSessions(dc?: string): Promise<ReadonlySet<string>> {
    const found: unknown = await guarded(this.#consul.session.list({ ...certain, ...inside(dc) }));
    return new Set(read(SESSIONS, found).map(({ ID }) => ID));
  }

  /** @returns the key, or `undefined` if it does not exist */
  async readKey(key: string, dc?: string): Promise<KeyReading | undefined> {
    const found: unknown = await guarded(this.#consul.kv.get({ ...certain, ...inside(dc), key }));
    if (found === undefined) return undefined;
    const { Value, Session, ModifyIndex } = read(KEY, found);
    return { value: Value ?? '', session: Session, index: ModifyIndex };
  }

  /** Locks a key for a session. @returns false if another session holds it */
  async acquireKey(key: string, value: string, session: string): Promise<boolean> {
    return isTrue(await guarded(this.#consul.kv.set({ ...bounded, key, value, acquire: session })));
  }

  /** Sets all keys, or none if one has changed since it was read. @returns whether they were set */
  async changeKeys(changes: readonly KeyChange[]): Promise<boolean> {
    const operations = changes.map(({ key, value, index }) => ({
      // The package's types do not match Consul's API, which accepts no other fields.
      verb: 'cas',
      key,
      toJSON: () => ({
        KV: { Verb: 'cas', Key: key, Value: Buffer.from(value).toString('base64'), Index: index },
      }),
    }));
    try {
      await this.#consul.transaction.create(operations, { ...bounded, operations });
      return true;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal?.status !== 409) throw storeError(error);
      // A transaction gives this status for any error.
      if (/permission denied/i.test(refusal.text)) throw new ConsulForbids(error);
      return false;
    }
  }

  /**
   * The instances of a service in a datacenter, once there is a change since `index`, or unchanged after {@link
   * QUERY_WAIT_S}. With index 0 at once.
   */
  async serviceInstances(
    query: { readonly service: string; readonly dc: string; readonly index: number },
    signal: AbortSignal,
  ): Promise<ServiceReading> {
    // The package cancels a request, and gives its headers, by an emitter in its options.
    const context = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = guardCallback('registry', () => {
      context.emit('cancel');
    });
    signal.addEventListener('abort', cancel);
    try {
      const options = {
        ...query,
        wait: `${QUERY_WAIT_S}s`,
        timeout: query.index === 0 ? REQUEST_TIMEOUT_MS : QUERY_TIMEOUT_MS,
        ctx: context,
      };
      const reply: unknown = await guarded(this.#consul.health.service(options));
      const [{ headers }, found] = read(SERVICE_REPLY, reply);
      return { index: headers['x-consul-index'], instances: await parseInTurns(found) };
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }
}

/**
 * Parses an answer. Another server in Consul's place, such as a proxy with a page of its own, counts as a failed
 * Consul.
 * @throws ConsulFault
 */
function read<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new ConsulFault(
    'failing',
    `Consul, or another server in its place, gave an unexpected answer: ${describeIssues(parsed.error)}`,
    parsed.error,
  );
}

/** Works in turns, because anybody may have registered any number of services (SPEC EN13). */
async function parseInTurns(found: readonly unknown[]): Promise<readonly ServiceInstance[]> {
  const instances: ServiceInstance[] = [];
  const turns = new ParsingTurns();
  for (const one of found) {
    instances.push(read(INSTANCE, one));
    await turns.next();
  }
  return instances;
}

/** Options that every method of the package accepts, though its types do not name all of them. */
interface RequestOptions {
  readonly timeout: number;
  readonly consistent?: boolean;
  readonly token?: string;
}
const bounded: RequestOptions = { timeout: REQUEST_TIMEOUT_MS };
/** A consistent read: the leader first confirms that it still leads. For decisions that must not depend on old data. */
const certain: RequestOptions = { ...bounded, consistent: true };
const inside = (dc: string | undefined): { dc?: string } => (dc === undefined ? {} : { dc });

/** The package gives `undefined` for Consul's `false`, whatever its types say. */
const isTrue = (answer: unknown): boolean => answer === true;

function storeError(cause: unknown): PlenaryError {
  if (cause instanceof PlenaryError) return cause;
  const refusal = refusalOf(cause);
  const trouble = consulTroubleOf(cause, refusal);
  if (trouble === 'access_denied') return new ConsulForbids(cause);
  return new ConsulFault(trouble, refusal === undefined ? undefined : `Consul: ${refusal.text}`, cause);
}

async function guarded<Result>(answer: Promise<Result>): Promise<Result> {
  try {
    return await answer;
  } catch (cause) {
    throw storeError(cause);
  }
}
