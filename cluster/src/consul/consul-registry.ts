import { z } from 'zod';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import type { Logger } from '../process/logging.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import type { AnnouncedAddresses } from '../registry/addresses.ts';
import { findOverlap } from '../registry/port-slices.ts';
import type { SliceHolding } from '../registry/port-slices.ts';
import type {
  AnnounceResult,
  EdgeRecord,
  MediaNodeRecord,
  PortSliceClaim,
  PortSliceResult,
  Registry,
} from '../registry/registry.ts';
import type { Availability } from './availability.ts';
import { ConsulClient, ConsulForbids } from './consul-client.ts';
import type { ServiceDefinition, ServiceInstance } from './consul-client.ts';
import { Discovery } from './discovery.ts';
import { IdClaims } from './id-claims.ts';
import { Loads } from './loads.ts';
import type { LoadChannel } from './loads.ts';
import {
  EDGE_META,
  MEDIA_NODE_META,
  candidateService,
  edgeService,
  isLive,
  mediaNodeService,
  serviceId,
} from './services.ts';
import type { ServiceKind } from './services.ts';
import type { ConsulSettings } from './settings.ts';
import { SliceBooks } from './slice-books.ts';

/** How long a change of ours may take from the agent to the servers and back, in milliseconds. */
const SYNC_WITHIN_MS = 2_000;

/** So many malformed things are remembered as reported. */
const MAX_REPORTED = 100;

export interface ConsulRegistrySettings {
  readonly consul: ConsulSettings;
  readonly loads: LoadChannel;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** The ports of a media node, and under which addresses. */
type OwnedSlice = Pick<MediaNodeRecord, 'announcedAddress' | 'announcedIpv6' | 'portSlice'>;

/** What is to be announced, of either kind. */
interface Announcement {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly service: ServiceDefinition;
  /** Only a media node has ports. */
  readonly node: MediaNodeRecord | undefined;
}

/** A service that is registered, and what it has under its session. */
interface Held {
  readonly kind: ServiceKind;
  /** As it was last registered. */
  readonly service: ServiceDefinition;
  readonly session: string;
  readonly slice: OwnedSlice | undefined;
  /** Whether it has the id and is listed; else it has its slice only. */
  readonly isAnnounced: boolean;
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
  readonly #ids: IdClaims;
  readonly #slices: SliceBooks;
  readonly #discovery: Discovery;
  readonly #loads: Loads;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  /** The last thing that was asked for each service: its claims, announcements and its withdrawal come one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #reported = new Set<string>();
  #isForbidden = false;

  /** Connects at once, and again by itself for ever. */
  constructor({ consul, loads, logger, clock = systemClock }: ConsulRegistrySettings) {
    this.#client = new ConsulClient(consul);
    this.#loads = new Loads(loads, logger);
    this.#logger = logger;
    this.#clock = clock;
    const onMalformed = (detail: string): void => {
      this.#reportOnce(detail, 'took a malformed claim in Consul for none');
    };
    this.#ids = new IdClaims(this.#client, onMalformed);
    this.#slices = new SliceBooks({ client: this.#client, clock, onMalformed });
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

  async claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult> {
    const service = candidateService(claim, leaseMs);
    return this.#ask(service.id, async () => {
      const former = await this.#stillHeld(service.id);
      const foreseen = await this.#slices.foresee(claim, await this.#heldElsewhere(claim));
      if (foreseen.refused !== null) return foreseen;
      let held = former ?? (await this.#enter('media-node', service));
      try {
        const result = await this.#claimSlice(claim, held);
        if (result.refused === null) {
          const { announcedAddress, announcedIpv6 } = claim;
          held = { ...held, slice: { announcedAddress, announcedIpv6, portSlice: result.portSlice } };
          await this.#renewOrThrow(held, held.isAnnounced ? held.service : service);
        } else if (former === undefined) await this.#discard(held);
        return result;
      } catch (fault) {
        if (former === undefined) await this.#discard(held);
        throw fault;
      }
    });
  }

  async announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const result = await this.#announce({
      kind: 'media-node',
      id: record.mediaNodeId,
      incarnation: record.incarnation,
      service: mediaNodeService(record, leaseMs),
      node: record,
    });
    if (result.refused === null) await this.#loads.tell(record, leaseMs);
    return result;
  }

  announceEdge(record: EdgeRecord, leaseMs: number): Promise<AnnounceResult> {
    return this.#announce({
      kind: 'edge',
      id: record.edgeId,
      incarnation: record.incarnation,
      service: edgeService(record, leaseMs),
      node: undefined,
    });
  }

  async withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('media-node', serviceId('media-node', mediaNodeId, incarnation));
    await this.#loads.withdraw(mediaNodeId, incarnation);
  }

  async withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('edge', serviceId('edge', edgeId, incarnation));
  }

  async liveMediaNodes(): Promise<readonly MediaNodeRecord[]> {
    const [instances] = await Promise.all([this.#discovery.instances('media-node'), this.#loads.read()]);
    return this.#loads.enterInto(this.#parse(instances, MEDIA_NODE_META, (node) => node.mediaNodeId));
  }

  async liveEdges(): Promise<readonly EdgeRecord[]> {
    return this.#parse(await this.#discovery.instances('edge'), EDGE_META, (edge) => edge.edgeId);
  }

  /** Ends all queries. Withdraw before: what is still announced lapses. */
  close(): void {
    this.#discovery.close();
    this.#client.close();
  }

  #announce(announcement: Announcement): Promise<AnnounceResult> {
    const { service, node } = announcement;
    return this.#ask(service.id, async () => {
      const held = this.#held.get(service.id);
      if (held?.isAnnounced === true) {
        if (isSameSlice(held.slice, node) && (await this.#renew(held, service))) return GRANTED;
        await this.#release(held);
        return this.#claim(announcement, undefined);
      }
      const candidate = await this.#stillHeld(service.id);
      if (candidate === undefined || isSameSlice(candidate.slice, node)) {
        return this.#claim(announcement, candidate);
      }
      await this.#release(candidate);
      return this.#claim(announcement, undefined);
    });
  }

  /** Does what is asked for a service in its turn, and tells once when the token does not suffice for it. */
  async #ask<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await this.#inTurn(id, work);
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

  /** What a service holds under a session that lives; what had lapsed is taken back. */
  async #stillHeld(id: string): Promise<Held | undefined> {
    const held = this.#held.get(id);
    if (held === undefined || (await this.#client.sessionLives(held.session))) return held;
    await this.#release(held);
    return undefined;
  }

  /**
   * Renews what is held, registered as `service` from now on.
   * @returns false when the lease has lapsed in between, so that id and ports must be claimed anew
   */
  async #renew(held: Held, service: ServiceDefinition): Promise<boolean> {
    const { kind, session, isAnnounced, renewedAtMs } = held;
    const askedAtMs = this.#clock.monotonicMs();
    // Late, somebody else may have the id by now: then not even for a moment may both pass.
    if (askedAtMs - renewedAtMs >= held.service.ttlMs && !(await this.#client.sessionLives(session))) {
      return false;
    }
    const changed = JSON.stringify(held.service) !== JSON.stringify(service);
    if (changed) await this.#client.registerService(service);
    if (!(await this.#client.renewCheck(service.id, isAnnounced ? 'passing' : 'warning'))) return false;
    if (!(await this.#client.sessionLives(session))) return false;
    this.#held.set(service.id, { ...held, service, renewedAtMs: askedAtMs });
    if (changed && isAnnounced) await this.#untilKnown(kind, service);
    return true;
  }

  async #renewOrThrow(held: Held, service: ServiceDefinition): Promise<void> {
    if (await this.#renew(held, service)) return;
    throw new PlenaryError('store_unavailable', 'The lease lapsed while it was claimed.');
  }

  /** Registers a service as a mere candidate, with a session that claims can be made under. */
  async #enter(kind: ServiceKind, service: ServiceDefinition): Promise<Held> {
    const renewedAtMs = this.#clock.monotonicMs();
    await this.#client.registerService(service);
    try {
      const isKnown = (): boolean => this.#discovery.ownInstance(kind, service.id) !== undefined;
      if (!(await this.#discovery.until(isKnown, SYNC_WITHIN_MS))) {
        throw new PlenaryError('store_unavailable', 'The Consul agent does not reach its servers.');
      }
      const session = await this.#client.createSession(service.id);
      return { kind, service, session, slice: undefined, isAnnounced: false, renewedAtMs };
    } catch (fault) {
      await this.#tidy(() => this.#client.deregisterService(service.id));
      throw fault;
    }
  }

  /** Claims what an announcement needs under the session of its candidate, and only then lets it pass. */
  async #claim(announcement: Announcement, candidate: Held | undefined): Promise<AnnounceResult> {
    const { service, kind, node } = announcement;
    const foreseen = await this.#foresee(announcement);
    if (foreseen.refused !== null) return foreseen;
    const entered = candidate ?? (await this.#enter(kind, service));
    const held: Held = { ...entered, slice: node, isAnnounced: true };
    try {
      const result = await this.#claimUnder(announcement, held);
      if (result.refused === null) {
        await this.#renewOrThrow(held, service);
        await this.#untilKnown(kind, service);
      } else await this.#discard(held);
      return result;
    } catch (fault) {
      await this.#discard(held);
      throw fault;
    }
  }

  /** Finds out whether an announcement would be refused now, so that most refusals change nothing. */
  async #foresee(announcement: Announcement): Promise<AnnounceResult> {
    const { node } = announcement;
    if ((await this.#ids.isHeld(announcement)) || (await this.#isIdHeldElsewhere(announcement))) {
      return { refused: 'id_taken' };
    }
    if (node === undefined) return GRANTED;
    return exactly(await this.#slices.foresee(claimOf(node), await this.#heldElsewhere(node)));
  }

  /**
   * Consul's KV is one store for each datacenter. So first the claim is made here, and then the others are looked at: of
   * two who claim the same in two datacenters at once, at least one sees the other, and yields.
   */
  async #claimUnder(announcement: Announcement, held: Held): Promise<AnnounceResult> {
    const { kind, id, incarnation, node } = announcement;
    const forId = await this.#ids.claim({ kind, id, incarnation, session: held.session });
    if (forId.refused !== null) return forId;
    if (await this.#isIdHeldElsewhere(announcement)) return { refused: 'id_taken' };
    return node === undefined ? GRANTED : exactly(await this.#claimSlice(claimOf(node), held));
  }

  /** As {@link ConsulRegistry.#claimUnder} for ports. A claim from a range that yields takes the next slice. */
  async #claimSlice(
    claim: PortSliceClaim,
    { session, slice: former, isAnnounced: hasId }: Held,
  ): Promise<PortSliceResult> {
    let elsewhere = await this.#heldElsewhere(claim);
    for (;;) {
      const result = await this.#slices.claim(claim, { session, former, hasId, elsewhere });
      if (result.refused !== null) return result;
      const { portSlice } = result;
      elsewhere = await this.#heldElsewhere(claim);
      const wanted = { mediaNodeId: claim.mediaNodeId, portSlice, addresses: claim };
      if (findOverlap(elsewhere, wanted, this.#clock.wallMs()) === undefined) return result;
      await this.#slices.forget(claim, session);
    }
  }

  async #isIdHeldElsewhere(announcement: Announcement): Promise<boolean> {
    const held = await this.#inOthers(async (datacenter) => this.#ids.isHeld(announcement, datacenter));
    return held.includes(true);
  }

  async #heldElsewhere(addresses: AnnouncedAddresses): Promise<readonly SliceHolding[]> {
    const held = await this.#inOthers(async (dc) => this.#slices.heldElsewhere(addresses, dc));
    return held.flat();
  }

  /** A datacenter that does not answer refuses nobody: else the loss of one would stop the others. */
  async #inOthers<Result>(look: (datacenter: string) => Promise<Result>): Promise<readonly Result[]> {
    const looks = this.#discovery.otherDatacenters().map(async (datacenter) => {
      try {
        return [await look(datacenter)];
      } catch (fault) {
        this.#logger.warn(
          { err: fault, consulDatacenter: datacenter },
          'could not look for claims in another datacenter; taking none for granted',
        );
        return [];
      }
    });
    return (await Promise.all(looks)).flat();
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

  /** Takes back what was granted. */
  async #release({ service, slice, session }: Held): Promise<void> {
    this.#held.delete(service.id);
    await this.#client.deregisterService(service.id);
    if (slice !== undefined) await this.#slices.giveBack(slice, session);
    await this.#client.destroySession(session);
  }

  /** Takes back what was not granted. Never rejects: what stays ends with the TTL of its check. */
  async #discard(held: Held): Promise<void> {
    await this.#tidy(() => this.#release(held));
  }

  async #tidy(work: () => Promise<void>): Promise<void> {
    try {
      await work();
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

const claimOf = (node: MediaNodeRecord): PortSliceClaim => ({ ...node, wanted: node.portSlice });

/** The answer to a claim of exactly one slice, as an announcement's. */
function exactly(result: PortSliceResult): AnnounceResult {
  if (result.refused === 'no_free_slice') throw new Error('only a range can have no free slice');
  return result.refused === null ? GRANTED : result;
}

function isSameSlice(left: OwnedSlice | undefined, right: OwnedSlice | undefined): boolean {
  return (
    left?.announcedAddress === right?.announcedAddress &&
    left?.announcedIpv6 === right?.announcedIpv6 &&
    left?.portSlice.firstPort === right?.portSlice.firstPort &&
    left?.portSlice.lastPort === right?.portSlice.lastPort
  );
}

const sorted = (meta: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(meta).sort(([left], [right]) => (left < right ? -1 : 1));
