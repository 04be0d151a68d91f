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

/** A request that is not answered within this time counts as failed, in milliseconds. */
const REQUEST_TIMEOUT_MS = 2_000;
/**
 * How long Consul may hold a blocking query, in seconds; it adds up to a sixteenth. Short, since a connection that was cut without
 * a word is noticed only when the answer to its query does not come (SPEC HL8).
 */
export const QUERY_WAIT_S = 3;
const QUERY_TIMEOUT_MS = QUERY_WAIT_S * 1_000 * (1 + 1 / 16) + REQUEST_TIMEOUT_MS;

/** A service as the local agent registers it, with one TTL check of the same id. */
export interface ServiceDefinition {
  /** Of the service and of its check; once on the agent. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  /** Without a pass for this long the check is critical, in milliseconds. */
  readonly ttlMs: number;
}

const CHECK_STATUS = z.enum(['passing', 'warning', 'critical', 'maintenance']);

/** A key that is to be set, and the reading that it must not have changed since; index 0: it must not exist. */
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

/** What a blocking query answered. */
export interface ServiceReading {
  /** To be handed in with the next query, which then waits for a change. */
  readonly index: number;
  readonly instances: readonly ServiceInstance[];
}

export interface KeyReading {
  readonly value: string;
  /** The session that holds the key as a lock. */
  readonly session: string | undefined;
  /** For {@link ConsulClient.changeKeys}. */
  readonly index: number;
}

/** As Consul takes them. */
const DATACENTER = patternText(/^[A-Za-z0-9_-]+$/, 255, 'must be the name of a datacenter');
const SELF = z.object({ Config: z.object({ Datacenter: DATACENTER }) });
const DATACENTERS = z.array(DATACENTER);
/** A UUID, as Consul makes them. */
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

/** Of what stands in a refusal: what answers in Consul's place, such as a proxy, may send a whole page. */
const MAX_REFUSAL_LENGTH = 1_000;
/** An answer of Consul that is no success. */
const REFUSAL = z.object({ isResponse: z.literal(true), statusCode: z.int(), response: z.unknown() });
const REFUSAL_TEXT = z.object({
  body: z.union([
    OPAQUE_TEXT,
    z.instanceof(Buffer).transform((bytes) => bytes.toString('utf8')),
    // A refused transaction says in JSON what went wrong.
    z.looseObject({}).transform((reply) => JSON.stringify(reply)),
  ]),
});

/** How Consul refused, or `undefined` when it did not answer at all. */
function refusalOf(error: unknown): ConsulRefusal | undefined {
  const refusal = REFUSAL.safeParse(error);
  if (!refusal.success) return undefined;
  const text = REFUSAL_TEXT.safeParse(refusal.data.response);
  return {
    status: refusal.data.statusCode,
    text: text.success ? oneLine(text.data.body.slice(0, MAX_REFUSAL_LENGTH)) : '',
  };
}

/** Consul did not do what it was asked for, and why. */
export class ConsulFault extends PlenaryError {
  readonly trouble: ConsulTrouble;

  constructor(trouble: ConsulTrouble, message: string | undefined, cause: unknown) {
    super('store_unavailable', message, { cause });
    this.trouble = trouble;
  }
}

/** Consul does not let this process do what it asked for: its token lacks a right, or is wrong. */
export class ConsulForbids extends ConsulFault {
  constructor(cause: unknown) {
    super('access_denied', 'Consul refuses the token.', cause);
  }
}

/** The local agent's check is not there: the agent has restarted, or removed the service. */
const isUnknownCheck = ({ status, text }: { status: number; text: string }): boolean =>
  status === 404 || /does not have associated TTL|unknown check/i.test(text);

const isUnknownService = ({ status, text }: { status: number; text: string }): boolean =>
  status === 404 || /unknown service/i.test(text);

/** Node's `hostname` takes IPv6 without the brackets that a URL has around it; the package hands them on. */
const lookupHost: LookupFunction = (host, options, callback) => {
  lookup(host.replace(/^\[(.*)\]$/, '$1'), options, callback);
};

/**
 * What Plenary asks of Consul, typed and with deadlines. Every method throws PlenaryError `store_unavailable` when Consul
 * does not answer, and {@link ConsulForbids} when the token does not suffice.
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

  /** Consul does not answer: its connections may be dead without anybody having said so, and what waits on them would wait on. */
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

  /** Whether the servers of the local datacenter have a leader. Answered at once, where they make every other request wait for one. */
  async hasLeader(): Promise<boolean> {
    const leader: unknown = await guarded(this.#consul.status.leader({ ...bounded }));
    return typeof leader === 'string' && leader !== '';
  }

  /** All datacenters that are joined, the local one too. */
  async datacenters(): Promise<readonly string[]> {
    return read(DATACENTERS, await guarded(this.#consul.catalog.datacenters({ ...bounded })));
  }

  /** Registers a service with a check that starts as a warning; a registered one keeps the state of its check. */
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

  /** Takes a service and its check from the local agent; an agent that has restarted may not know it. */
  async deregisterService(id: string): Promise<void> {
    try {
      await this.#consul.agent.service.deregister({ ...bounded, id });
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined || !isUnknownService(refusal)) throw storeError(error);
    }
  }

  /** Renews a TTL check as passing, or as a mere warning. @returns whether the agent knows it */
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

  /** A session that ends when the check is critical or the agent's host is lost, and takes its keys along. */
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

  /** Whether a session has not ended. One that has ended never comes back. */
  async sessionLives(id: string, dc?: string): Promise<boolean> {
    const found: unknown = await guarded(this.#consul.session.info({ ...certain, ...inside(dc), id }));
    return found !== undefined;
  }

  /** The sessions of a datacenter that have not ended. */
  async liveSessions(dc?: string): Promise<ReadonlySet<string>> {
    const found: unknown = await guarded(this.#consul.session.list({ ...certain, ...inside(dc) }));
    return new Set(read(SESSIONS, found).map(({ ID }) => ID));
  }

  /** @returns the key, or `undefined` where there is none */
  async readKey(key: string, dc?: string): Promise<KeyReading | undefined> {
    const found: unknown = await guarded(this.#consul.kv.get({ ...certain, ...inside(dc), key }));
    if (found === undefined) return undefined;
    const { Value, Session, ModifyIndex } = read(KEY, found);
    return { value: Value ?? '', session: Session, index: ModifyIndex };
  }

  /** Takes a key for a session. @returns false where another session holds it */
  async acquireKey(key: string, value: string, session: string): Promise<boolean> {
    return isTrue(await guarded(this.#consul.kv.set({ ...bounded, key, value, acquire: session })));
  }

  /** Sets all keys, or none when one has changed since it was read. @returns whether they were set */
  async changeKeys(changes: readonly KeyChange[]): Promise<boolean> {
    const operations = changes.map(({ key, value, index }) => ({
      // The package's types are not what Consul takes, and Consul takes nothing beside it.
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
      // A transaction answers so whatever went wrong in it.
      if (/permission denied/i.test(refusal.text)) throw new ConsulForbids(error);
      return false;
    }
  }

  /**
   * The instances of a service in a datacenter, once there is something newer than `index`, or after
   * {@link QUERY_WAIT_S} as they are. With index 0 at once.
   */
  async serviceInstances(
    query: { readonly service: string; readonly dc: string; readonly index: number },
    signal: AbortSignal,
  ): Promise<ServiceReading> {
    // The package cancels a request, and gives its headers, by an emitter that is handed in.
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
 * What answers in Consul's place, such as a proxy with a page of its own, is no Consul that serves.
 * @throws ConsulFault
 */
function read<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new ConsulFault(
    'failing',
    `Consul, or what is in its place, answered something else: ${describeIssues(parsed.error)}`,
    parsed.error,
  );
}

/** Anybody may have registered as many as they like (SPEC EN13). */
async function parseInTurns(found: readonly unknown[]): Promise<readonly ServiceInstance[]> {
  const instances: ServiceInstance[] = [];
  const turns = new ParsingTurns();
  for (const one of found) {
    instances.push(read(INSTANCE, one));
    await turns.next();
  }
  return instances;
}

/** Options that every method of the package takes, though its types do not name all of them. */
interface RequestOptions {
  readonly timeout: number;
  readonly consistent?: boolean;
  readonly token?: string;
}
const bounded: RequestOptions = { timeout: REQUEST_TIMEOUT_MS };
/** Asked of the leader, who asks the other servers whether it still is: for decisions that must not go by old news. */
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
