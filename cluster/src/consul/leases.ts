import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import type { Logger } from '../process/logging.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';
import type { ConsulClient, ServiceDefinition } from './consul-client.ts';
import type { Discovery } from './discovery.ts';
import { isLive } from './services.ts';
import type { ServiceKind } from './names.ts';
import type { SliceBooks } from './slice-books.ts';

/** How long a change of ours may take from the agent to the servers and back, in milliseconds. */
const SYNC_WITHIN_MS = 2_000;

/** The ports of a media node, and under which addresses. */
export type OwnedSlice = Pick<MediaNodeRecord, 'announcedAddress' | 'announcedIpv6' | 'portSlice'>;

/** A service that is registered, and what it has under its session. */
export interface Held {
  readonly kind: ServiceKind;
  /** As it was last registered. */
  readonly service: ServiceDefinition;
  readonly session: string;
  readonly slice: OwnedSlice | undefined;
  /** Whether it has the id and is listed; else it has its slice only. */
  readonly isAnnounced: boolean;
  /** Whether the servers have shown it as announced. */
  readonly isKnown: boolean;
  /** When the last renewal that went well was asked for, by this process' clock. */
  readonly renewedAtMs: number;
}

export interface LeasesSettings {
  readonly client: ConsulClient;
  readonly discovery: Discovery;
  readonly slices: SliceBooks;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The services of this process on its local agent: each with a TTL check, which is its lease, and a session that ends with the
 * check, under which claims are made.
 */
export class Leases {
  readonly #settings: LeasesSettings;
  readonly #held = new Map<string, Held>();
  /** Since when a service that was known is not shown. */
  readonly #missedSinceMs = new Map<string, number>();
  readonly #forbiddenAtMs = new Map<string, number>();
  /** The checks of others that were last said to stand in the way of each service. */
  readonly #blockedBy = new Map<string, string>();

  constructor(settings: LeasesSettings) {
    this.#settings = settings;
  }

  /** What was last granted to a service, whether or not it has lapsed meanwhile. */
  find(id: string): Held | undefined {
    return this.#held.get(id);
  }

  /** What a service holds under a session that lives; what had lapsed is taken back. */
  async stillHeld(id: string): Promise<Held | undefined> {
    const held = this.#held.get(id);
    if (held === undefined || (await this.#settings.client.sessionLives(held.session))) return held;
    await this.release(held);
    return undefined;
  }

  /**
   * Renews what is held, registered as `service` from now on.
   * @returns false when the lease has lapsed in between, so that id and ports must be claimed anew
   */
  async renew(held: Held, service: ServiceDefinition): Promise<boolean> {
    const { kind, session, isAnnounced, renewedAtMs } = held;
    const { client, clock } = this.#settings;
    const askedAtMs = clock.monotonicMs();
    // Late, somebody else may have the id by now: then not even for a moment may both pass.
    if (askedAtMs - renewedAtMs >= held.service.ttlMs && !(await client.sessionLives(session))) {
      return false;
    }
    const changed = JSON.stringify(held.service) !== JSON.stringify(service) || this.#isOverwritten(held);
    if (changed) await client.registerService(service);
    if (!(await client.renewCheck(service.id, isAnnounced ? 'passing' : 'warning'))) return false;
    if (!(await client.sessionLives(session))) return false;
    const wasAnnounced = this.#held.get(service.id)?.isAnnounced === true;
    const renewed = { ...held, service, renewedAtMs: askedAtMs };
    this.#held.set(service.id, renewed);
    this.#sayBlocked(held);
    if (isAnnounced && (changed || !wasAnnounced)) {
      await this.#untilKnown(kind, service);
      if (this.#held.get(service.id) === renewed) this.#held.set(service.id, { ...renewed, isKnown: true });
    }
    return true;
  }

  /** As {@link Leases.renew}. @throws PlenaryError `store_unavailable` where that gives false */
  async renewOrThrow(held: Held, service: ServiceDefinition): Promise<void> {
    if (await this.renew(held, service)) return;
    throw new PlenaryError('store_unavailable', 'The lease lapsed while it was claimed.');
  }

  /**
   * Whether Consul does not show this process a service of its own that the servers have shown before, while the agent renews it or
   * forbids to: its token may read no services any more, which Consul answers with fewer of them and not with an error. An agent
   * that came back empty does not know the service.
   */
  isHidden(): boolean {
    const { clock, discovery } = this.#settings;
    return [...this.#held.values()].some(({ kind, service, isAnnounced, isKnown, renewedAtMs }) => {
      const { id } = service;
      if (!isAnnounced || !isKnown || discovery.ownInstance(kind, id) !== undefined) {
        this.#missedSinceMs.delete(id);
        return false;
      }
      const sinceMs = this.#missedSinceMs.get(id) ?? clock.monotonicMs();
      this.#missedSinceMs.set(id, sinceMs);
      return Math.max(renewedAtMs, this.#forbiddenAtMs.get(id) ?? 0) >= sinceMs;
    });
  }

  /** The agent did not let a service be renewed. */
  noteForbidden(id: string): void {
    if (this.#held.has(id)) this.#forbiddenAtMs.set(id, this.#settings.clock.monotonicMs());
  }

  /** Registers a service as a mere candidate, with a session that claims can be made under. */
  async enter(kind: ServiceKind, service: ServiceDefinition): Promise<Held> {
    const { client, clock, discovery } = this.#settings;
    const renewedAtMs = clock.monotonicMs();
    await client.registerService(service);
    try {
      const isKnown = (): boolean => discovery.ownInstance(kind, service.id) !== undefined;
      if (!(await discovery.until(isKnown, SYNC_WITHIN_MS))) {
        throw new PlenaryError('store_unavailable', 'The Consul agent does not reach its servers.');
      }
      const session = await client.createSession(service.id);
      return { kind, service, session, slice: undefined, isAnnounced: false, isKnown: false, renewedAtMs };
    } catch (fault) {
      await this.#tidy(() => client.deregisterService(service.id));
      throw fault;
    }
  }

  /** Takes back all that a service was granted. Settles when this process reads it so. */
  async withdraw(kind: ServiceKind, id: string): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    await this.release(held);
    const { discovery } = this.#settings;
    const isGone = (): boolean => discovery.ownInstance(kind, id) === undefined;
    await discovery.until(isGone, SYNC_WITHIN_MS);
  }

  /** Takes back what was granted. */
  async release({ service, slice, session }: Held): Promise<void> {
    const { client, slices } = this.#settings;
    this.#held.delete(service.id);
    this.#missedSinceMs.delete(service.id);
    this.#forbiddenAtMs.delete(service.id);
    this.#blockedBy.delete(service.id);
    await client.deregisterService(service.id);
    if (slice !== undefined) await slices.giveBack(slice, session);
    await client.destroySession(session);
  }

  /** Takes back what was not granted. Never rejects: what stays ends with the TTL of its check. */
  async discard(held: Held): Promise<void> {
    await this.#tidy(() => this.release(held));
  }

  async #tidy(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      this.#settings.logger.debug({ err: fault }, 'a claim could not be taken back; it will lapse');
    }
  }

  /** Says once that nobody lists a service since a check of its host is critical that somebody else made, and once that it is over. */
  #sayBlocked({ kind, service, isKnown }: Held): void {
    const { discovery, logger } = this.#settings;
    const shown = isKnown ? discovery.ownInstance(kind, service.id) : undefined;
    const others = shown?.checks.filter(({ id, status }) => status === 'critical' && id !== service.id) ?? [];
    const checks = others.map(({ id }) => id).sort();
    const before = this.#blockedBy.get(service.id) ?? '';
    if (shown === undefined || checks.join() === before) return;
    this.#blockedBy.set(service.id, checks.join());
    if (checks.length === 0) logger.info('no check in Consul keeps this process from being listed any more');
    else
      logger.error(
        { checks, toDo: 'see what these checks of this host in Consul say, or remove them' },
        'check of this host is critical in Consul; others take this process for gone, and nobody new is sent to it',
      );
  }

  /** Whether Consul shows something else of a service than what it was registered as: somebody has registered theirs under its id. */
  #isOverwritten({ kind, service, isKnown }: Held): boolean {
    const shown = isKnown ? this.#settings.discovery.ownInstance(kind, service.id) : undefined;
    return shown !== undefined && textOf(shown.meta) !== textOf(service.meta);
  }

  /** Waits until this process reads what it has written; when that takes long, readers are late, and no more. */
  async #untilKnown(kind: ServiceKind, { id, meta }: ServiceDefinition): Promise<void> {
    const { discovery } = this.#settings;
    const wanted = textOf(meta);
    await discovery.until(() => {
      const known = discovery.ownInstance(kind, id);
      return known !== undefined && isLive(known) && textOf(known.meta) === wanted;
    }, SYNC_WITHIN_MS);
  }
}

/** The same for the same metadata, in whatever order Consul gives them. */
const textOf = (meta: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(meta).sort(([left], [right]) => (left < right ? -1 : 1)));
