import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import type { Logger } from '../process/logging.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';
import type { ConsulClient, ServiceDefinition } from './consul-client.ts';
import type { Discovery } from './discovery.ts';
import { isLive } from './services.ts';
import type { ServiceKind } from './names.ts';
import type { SliceBooks } from './slice-books.ts';

/** How long a change may take from the agent to the servers and back, in milliseconds. */
const SYNC_WITHIN_MS = 2_000;

/** The ports of a media node, and their announced addresses. */
export type OwnedSlice = Pick<MediaNodeRecord, 'announcedAddress' | 'announcedIpv6' | 'portSlice'>;

/** A registered service, and its claims under its session. */
export interface Held {
  readonly kind: ServiceKind;
  /** The last registration. */
  readonly service: ServiceDefinition;
  readonly session: string;
  readonly slice: OwnedSlice | undefined;
  /** Whether the service owns its id and is listed; otherwise it owns only its slice. */
  readonly isAnnounced: boolean;
  /** Whether the servers have shown it as announced. */
  readonly isKnown: boolean;
  /** When the last successful renewal was requested, by this process' clock. */
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
 * The services of this process on its local agent. Each has a TTL check, which is its lease, and a session for its
 * claims that ends with the check.
 */
export class Leases {
  readonly #settings: LeasesSettings;
  readonly #held = new Map<string, Held>();
  /** Since when the servers no longer show a known service. */
  readonly #missedSinceMs = new Map<string, number>();
  readonly #forbiddenAtMs = new Map<string, number>();
  /** The foreign checks that were last reported to block each service. */
  readonly #blockedBy = new Map<string, string>();

  constructor(settings: LeasesSettings) {
    this.#settings = settings;
  }

  /** The last grant of a service, even if it has lapsed meanwhile. */
  find(id: string): Held | undefined {
    return this.#held.get(id);
  }

  /** The claims of a service whose session still exists; lapsed claims are released. */
  async stillHeld(id: string): Promise<Held | undefined> {
    const held = this.#held.get(id);
    if (held === undefined || (await this.#settings.client.sessionLives(held.session))) return held;
    await this.release(held);
    return undefined;
  }

  /**
   * Renews a lease, with `service` as the registration from now on.
   * @returns false if the lease has lapsed meanwhile, so that id and ports must be claimed again
   */
  async renew(held: Held, service: ServiceDefinition): Promise<boolean> {
    const { kind, session, isAnnounced, renewedAtMs } = held;
    const { client, clock } = this.#settings;
    const askedAtMs = clock.monotonicMs();
    // If the renewal is late, another process may have the id by now. Then both must not pass even for a moment.
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

  /** Like {@link Leases.renew}. @throws PlenaryError `store_unavailable` if that returns false */
  async renewOrThrow(held: Held, service: ServiceDefinition): Promise<void> {
    if (await this.renew(held, service)) return;
    throw new PlenaryError('store_unavailable', 'The lease lapsed while it was claimed.');
  }

  /**
   * Whether Consul no longer shows a known service of this process although the agent renews it or refuses to. Then
   * the token has probably lost the right to read services: Consul answers with fewer services and not with an error.
   * An agent that came back empty does not know the service.
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

  /** Records that the agent refused to renew a service. */
  noteForbidden(id: string): void {
    if (this.#held.has(id)) this.#forbiddenAtMs.set(id, this.#settings.clock.monotonicMs());
  }

  /** Registers a service as a candidate, with a session for its claims. */
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

  /** Releases everything that a service was granted. Settles when this process reads it as gone. */
  async withdraw(kind: ServiceKind, id: string): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    await this.release(held);
    const { discovery } = this.#settings;
    const isGone = (): boolean => discovery.ownInstance(kind, id) === undefined;
    await discovery.until(isGone, SYNC_WITHIN_MS);
  }

  /** Releases a granted service. */
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

  /** Releases a service that was not granted. Never rejects: the rest ends with the TTL of its check. */
  async discard(held: Held): Promise<void> {
    await this.#tidy(() => this.release(held));
  }

  async #tidy(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      this.#settings.logger.debug({ err: fault }, 'a claim could not be released; it will lapse');
    }
  }

  /** Logs once that a foreign critical check of the host keeps a service from being listed, and once that this is over. */
  #sayBlocked({ kind, service, isKnown }: Held): void {
    const { discovery, logger } = this.#settings;
    const shown = isKnown ? discovery.ownInstance(kind, service.id) : undefined;
    const others = shown?.checks.filter(({ id, status }) => status === 'critical' && id !== service.id) ?? [];
    const checks = others.map(({ id }) => id).sort();
    const before = this.#blockedBy.get(service.id) ?? '';
    if (shown === undefined || checks.join() === before) return;
    this.#blockedBy.set(service.id, checks.join());
    if (checks.length === 0)
      logger.info('no check in Consul prevents this process from being listed any more');
    else
      logger.error(
        { checks, toDo: 'see what these checks of this host in Consul say, or remove them' },
        'check of this host is critical in Consul; other processes consider this one dead, and nobody new is sent to it',
      );
  }

  /** Whether Consul shows another registration under the service's id: another process has registered it. */
  #isOverwritten({ kind, service, isKnown }: Held): boolean {
    const shown = isKnown ? this.#settings.discovery.ownInstance(kind, service.id) : undefined;
    return shown !== undefined && textOf(shown.meta) !== textOf(service.meta);
  }

  /** Waits until this process reads its own change. If that takes long, readers are late, but nothing else is wrong. */
  async #untilKnown(kind: ServiceKind, { id, meta }: ServiceDefinition): Promise<void> {
    const { discovery } = this.#settings;
    const wanted = textOf(meta);
    await discovery.until(() => {
      const known = discovery.ownInstance(kind, id);
      return known !== undefined && isLive(known) && textOf(known.meta) === wanted;
    }, SYNC_WITHIN_MS);
  }
}

/** The same text for the same metadata, in whatever order Consul gives them. */
const textOf = (meta: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(meta).sort(([left], [right]) => (left < right ? -1 : 1)));
