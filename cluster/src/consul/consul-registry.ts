import { z } from 'zod';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError, toPlenaryError } from '../errors.ts';
import type { Logger } from '../process/logging.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import type { AnnounceResult, EdgeRecord, MediaNodeRecord, Registry } from '../registry/registry.ts';
import type { Availability } from './availability.ts';
import { Claims } from './claims.ts';
import type { SliceClaim } from './claims.ts';
import { ConsulClient, ConsulForbids } from './consul-client.ts';
import type { ServiceDefinition, ServiceInstance } from './consul-client.ts';
import { Discovery } from './discovery.ts';
import { EDGE_META, MEDIA_NODE_META, edgeService, isLive, mediaNodeService, serviceId } from './services.ts';
import type { ServiceKind } from './services.ts';
import type { ConsulSettings } from './settings.ts';

/** How long a change of ours may take from the agent to the servers and back, in milliseconds. */
const SYNC_WITHIN_MS = 2_000;

/** So many malformed things are remembered as reported. */
const MAX_REPORTED = 100;

/** Where load and numbers of peers are told: they change too often for Consul. */
export type LoadChannel = Pick<Registry, 'announceMediaNode' | 'withdrawMediaNode' | 'liveMediaNodes'>;

export interface ConsulRegistrySettings {
  readonly consul: ConsulSettings;
  readonly loads: LoadChannel;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** What is to be announced, of either kind. */
interface Announcement {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly service: ServiceDefinition;
  /** Only a media node has ports. */
  readonly slice: SliceClaim | undefined;
}

/** An announcement that was granted. */
interface Held {
  readonly announcement: Announcement;
  readonly session: string;
  /** When the last renewal that went well was asked for, by this process' clock. */
  readonly renewedAtMs: number;
}

const GRANTED: AnnounceResult = { refused: null };

/**
 * The registry in Consul: who is there, with which address and ports, and who lives. Each process is a service on its
 * local agent, with a TTL check that its announcements renew and a session that ends with the check; id and ports are
 * claimed under that session. Load and numbers of peers go through another channel, and what was last known of them counts
 * while that is away. SPEC CO.
 */
export class ConsulRegistry implements Registry {
  readonly #client: ConsulClient;
  readonly #claims: Claims;
  readonly #discovery: Discovery;
  readonly #loads: LoadChannel;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  /** The last thing that was asked for each service: its announcements and its withdrawal come one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #lastLoads = new Map<MediaNodeId, MediaNodeRecord>();
  readonly #reported = new Set<string>();
  #isForbidden = false;

  /** Connects at once, and again by itself for ever. */
  constructor({ consul, loads, logger, clock = systemClock }: ConsulRegistrySettings) {
    this.#client = new ConsulClient(consul);
    this.#loads = loads;
    this.#logger = logger;
    this.#clock = clock;
    this.#claims = new Claims(this.#client, (detail) => {
      this.#reportOnce(detail, 'took a malformed claim in Consul for none');
    });
    this.#discovery = new Discovery({
      client: this.#client,
      clock,
      onFault: (fault, datacenter) => {
        const of = datacenter === undefined ? {} : { consulDatacenter: datacenter };
        logger.warn({ err: fault, ...of }, 'Consul does not answer: what was last known counts');
      },
    });
    this.#discovery.availability.onChange((available) => {
      if (available) logger.info('Consul answers');
    });
  }

  /** Whether Consul answers. */
  get availability(): Availability {
    return this.#discovery.availability;
  }

  async announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const result = await this.#announce({
      kind: 'media-node',
      id: record.mediaNodeId,
      incarnation: record.incarnation,
      service: mediaNodeService(record, leaseMs),
      slice: record,
    });
    if (result.refused === null) {
      // Consul has decided; what the channel would refuse, as for a former life of this node, does not matter.
      await this.#onChannel('told', async () => this.#loads.announceMediaNode(record, leaseMs));
    }
    return result;
  }

  announceEdge(record: EdgeRecord, leaseMs: number): Promise<AnnounceResult> {
    return this.#announce({
      kind: 'edge',
      id: record.edgeId,
      incarnation: record.incarnation,
      service: edgeService(record, leaseMs),
      slice: undefined,
    });
  }

  async withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('media-node', serviceId('media-node', mediaNodeId, incarnation));
    await this.#onChannel('withdrawn', async () => this.#loads.withdrawMediaNode(mediaNodeId, incarnation));
  }

  async withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('edge', serviceId('edge', edgeId, incarnation));
  }

  async liveMediaNodes(): Promise<readonly MediaNodeRecord[]> {
    const [instances] = await Promise.all([this.#discovery.instances('media-node'), this.#readLoads()]);
    const nodes = this.#parse(instances, MEDIA_NODE_META, (node) => node.mediaNodeId);
    const live = new Set(nodes.map((node) => node.mediaNodeId));
    for (const id of this.#lastLoads.keys()) if (!live.has(id)) this.#lastLoads.delete(id);
    return nodes.map((node) => {
      const told = this.#lastLoads.get(node.mediaNodeId);
      if (told?.incarnation !== node.incarnation) return node;
      const { load, peerCount, recentJoins, reportedAtMs } = told;
      return { ...node, load, peerCount, recentJoins, reportedAtMs };
    });
  }

  async liveEdges(): Promise<readonly EdgeRecord[]> {
    return this.#parse(await this.#discovery.instances('edge'), EDGE_META, (edge) => edge.edgeId);
  }

  /** Ends all queries. Withdraw before: what is still announced lapses. */
  close(): void {
    this.#discovery.close();
    this.#client.close();
  }

  async #announce(announcement: Announcement): Promise<AnnounceResult> {
    const { id } = announcement.service;
    try {
      const result = await this.#inTurn(id, async () => {
        const held = this.#held.get(id);
        if (held !== undefined) {
          if (await this.#renew(held, announcement)) return GRANTED;
          await this.#release(held);
        }
        return this.#claim(announcement);
      });
      this.#isForbidden = false;
      return result;
    } catch (fault) {
      if (fault instanceof ConsulForbids && !this.#isForbidden) {
        this.#isForbidden = true;
        this.#logger.error(
          { err: fault },
          'Consul refuses CONSUL_HTTP_TOKEN: this process cannot announce itself',
        );
      }
      throw fault;
    }
  }

  /** @returns false when the lease has lapsed in between, so that id and ports must be claimed anew */
  async #renew(held: Held, announcement: Announcement): Promise<boolean> {
    const { service, kind } = announcement;
    const askedAtMs = this.#clock.monotonicMs();
    const former = held.announcement;
    if (!sameSlice(former.slice, announcement.slice)) return false;
    // Late, somebody else may have the id by now: then not even for a moment may both pass.
    if (
      askedAtMs - held.renewedAtMs >= former.service.ttlMs &&
      !(await this.#client.sessionLives(held.session))
    ) {
      return false;
    }
    const changed = JSON.stringify(former.service) !== JSON.stringify(service);
    if (changed) await this.#client.registerService(service);
    if (!(await this.#client.passCheck(service.id))) return false;
    if (!(await this.#client.sessionLives(held.session))) return false;
    this.#held.set(service.id, { announcement, session: held.session, renewedAtMs: askedAtMs });
    if (changed) await this.#untilKnown(kind, service);
    return true;
  }

  /** Registers the service as a mere candidate, claims what it needs under its session, and only then lets it pass. */
  async #claim(announcement: Announcement): Promise<AnnounceResult> {
    const { service, kind } = announcement;
    if (await this.#claims.isIdHeld(announcement)) return { refused: 'id_taken' };
    const renewedAtMs = this.#clock.monotonicMs();
    await this.#client.registerService(service);
    let held: Held | undefined;
    let result: AnnounceResult | undefined;
    try {
      const isKnown = (): boolean => this.#discovery.ownInstance(kind, service.id) !== undefined;
      if (!(await this.#discovery.until(isKnown, SYNC_WITHIN_MS))) {
        throw new PlenaryError('store_unavailable', 'The Consul agent does not reach its servers.');
      }
      const session = await this.#client.createSession(service.id);
      held = { announcement, session, renewedAtMs };
      result = await this.#claimUnder(announcement, session);
      if (result.refused !== null) return result;
      if (!(await this.#renew(held, announcement))) {
        result = undefined;
        throw new PlenaryError('store_unavailable', 'The lease lapsed while it was claimed.');
      }
      await this.#untilKnown(kind, service);
      return result;
    } finally {
      if (result?.refused !== null) await this.#discard(service.id, held);
    }
  }

  /**
   * Consul's KV is one store for each datacenter. So first the claim is made here, and then the others are looked at: of
   * two who claim the same in two datacenters at once, at least one sees the other, and yields.
   */
  async #claimUnder(announcement: Announcement, session: string): Promise<AnnounceResult> {
    const { kind, id, incarnation, slice } = announcement;
    const forId = await this.#claims.claimId({ kind, id, incarnation, session });
    if (forId.refused !== null) return forId;
    if (slice !== undefined) {
      const forSlice = await this.#claims.claimSlice(slice, session);
      if (forSlice.refused !== null) return forSlice;
    }
    for (const datacenter of this.#discovery.otherDatacenters()) {
      const refusal = await this.#refusalElsewhere(announcement, datacenter);
      if (refusal.refused !== null) return refusal;
    }
    return GRANTED;
  }

  /** A datacenter that does not answer refuses nobody: else the loss of one would stop the others. */
  async #refusalElsewhere(announcement: Announcement, datacenter: string): Promise<AnnounceResult> {
    try {
      if (await this.#claims.isIdHeld(announcement, datacenter)) return { refused: 'id_taken' };
      if (announcement.slice === undefined) return GRANTED;
      return await this.#claims.sliceElsewhere(announcement.slice, datacenter);
    } catch (fault) {
      this.#logger.warn(
        { err: fault, consulDatacenter: datacenter },
        'could not look for claims in another datacenter; taking none for granted',
      );
      return GRANTED;
    }
  }

  async #withdraw(kind: ServiceKind, id: string): Promise<void> {
    await this.#inTurn(id, async () => {
      const held = this.#held.get(id);
      if (held === undefined) return;
      await this.#release(held);
      const isGone = (): boolean => this.#discovery.ownInstance(kind, id) === undefined;
      await this.#discovery.until(isGone, SYNC_WITHIN_MS);
    });
  }

  /** Takes back an announcement that was granted. */
  async #release({ announcement, session }: Held): Promise<void> {
    const { service, slice } = announcement;
    this.#held.delete(service.id);
    await this.#client.deregisterService(service.id);
    if (slice !== undefined) await this.#claims.releaseSlice(slice.announcedAddress, session);
    await this.#client.destroySession(session);
  }

  /** Takes back what was not granted. Never rejects: what stays ends with the TTL of its check. */
  async #discard(id: string, held: Held | undefined): Promise<void> {
    try {
      if (held !== undefined) await this.#release(held);
      else await this.#client.deregisterService(id);
    } catch (fault) {
      this.#logger.debug({ err: fault }, 'a claim could not be taken back; it will lapse');
    }
  }

  /** Waits until this process reads what it has written; when that takes long, readers are late, and no more. */
  async #untilKnown(kind: ServiceKind, { id, meta }: ServiceDefinition): Promise<void> {
    const wanted = JSON.stringify(sorted(meta));
    await this.#discovery.until(() => {
      const known = this.#discovery.ownInstance(kind, id);
      return known !== undefined && isLive(known) && JSON.stringify(sorted(known.meta)) === wanted;
    }, SYNC_WITHIN_MS);
  }

  async #readLoads(): Promise<void> {
    await this.#onChannel('read', async () => {
      for (const record of await this.#loads.liveMediaNodes())
        this.#lastLoads.set(record.mediaNodeId, record);
    });
  }

  /** While the channel is away the last loads count: that it is away is told by whoever connects to it. */
  async #onChannel(doing: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      if (toPlenaryError(fault).code !== 'store_unavailable') throw fault;
      this.#logger.debug({ err: fault, doing }, 'the loads could not be exchanged; the last ones count');
    }
  }

  /** The records of the living, in the order of ids; of two of one id the one that came later. */
  #parse<Schema extends z.ZodType>(
    instances: readonly ServiceInstance[],
    schema: Schema,
    idOf: (record: z.output<Schema>) => string,
  ): z.output<Schema>[] {
    const records = new Map<string, z.output<Schema>>();
    for (const instance of [...instances].sort((left, right) => left.createIndex - right.createIndex)) {
      if (!isLive(instance)) continue;
      const parsed = schema.safeParse(instance.meta);
      if (parsed.success) records.set(idOf(parsed.data), parsed.data);
      else
        this.#reportOnce(z.prettifyError(parsed.error), 'skipped a malformed service in Consul', instance.id);
    }
    return [...records].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, record]) => record);
  }

  #reportOnce(detail: string, says: string, about = ''): void {
    const report = `${about}|${detail}`;
    if (this.#reported.has(report)) return;
    if (this.#reported.size >= MAX_REPORTED) this.#reported.clear();
    this.#reported.add(report);
    this.#logger.error({ detail, about }, says);
  }

  async #inTurn<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(work, work);
    this.#turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }
}

function sameSlice(left: SliceClaim | undefined, right: SliceClaim | undefined): boolean {
  return (
    left?.announcedAddress === right?.announcedAddress &&
    left?.portSlice.firstPort === right?.portSlice.firstPort &&
    left?.portSlice.lastPort === right?.portSlice.lastPort
  );
}

const sorted = (meta: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(meta).sort(([left], [right]) => (left < right ? -1 : 1));
