import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { FIRST_LINES, leftOut, RareLines } from '../process/rare-lines.ts';
import type { Namespace } from '../namespace.ts';
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
import { ConsulClient, ConsulForbids } from './consul-client.ts';
import { ConsulHealth } from './consul-health.ts';
import type { ServiceDefinition } from './consul-client.ts';
import { Discovery } from './discovery.ts';
import { IdClaims } from './id-claims.ts';
import { Leases } from './leases.ts';
import type { Held, OwnedSlice } from './leases.ts';
import { Loads } from './loads.ts';
import { ConsulNames } from './names.ts';
import type { ServiceKind } from './names.ts';
import type { LoadChannel } from './loads.ts';
import { EDGE_META, MEDIA_NODE_META, candidateService, edgeService, mediaNodeService } from './services.ts';
import type { ConsulSettings } from './settings.ts';
import { Turns } from '../turns.ts';
import { ServiceReader } from './service-reader.ts';
import { SliceBooks } from './slice-books.ts';

/** The number of malformed records that are remembered as reported. */
const MAX_REPORTED = 100;

export interface ConsulRegistrySettings {
  readonly consul: ConsulSettings;
  readonly namespace: Namespace;
  readonly loads: LoadChannel;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** An announcement of either kind of process. */
interface Announcement {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly service: ServiceDefinition;
  /** Present only for a media node, because only it has ports. */
  readonly node: MediaNodeRecord | undefined;
}

const GRANTED: AnnounceResult = { refused: null };

/**
 * The registry in Consul: the processes, their addresses and ports, and whether they are alive. Each process is a
 * service on its local agent, with a TTL check that its announcements renew and a session that ends with the check;
 * id and ports are claimed under that session. Load and numbers of peers go through another channel; while it is
 * unreachable, the last known values count. SPEC CO.
 */
export class ConsulRegistry implements Registry {
  readonly #client: ConsulClient;
  readonly #names: ConsulNames;
  readonly #ids: IdClaims;
  readonly #slices: SliceBooks;
  readonly #discovery: Discovery;
  readonly #health: ConsulHealth;
  readonly #loads: Loads;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #leases: Leases;
  /** Runs the operations of each service (claims, announcements, its withdrawal) one after the other. */
  readonly #turns = new Turns<string>();
  readonly #reported = new Set<string>();
  readonly #lines: RareLines;
  readonly #mediaNodes: ServiceReader<typeof MEDIA_NODE_META>;
  readonly #edges: ServiceReader<typeof EDGE_META>;

  /** Connects at once, and reconnects automatically. */
  constructor({ consul, namespace, loads, logger, clock = systemClock }: ConsulRegistrySettings) {
    this.#client = new ConsulClient(consul);
    this.#names = new ConsulNames(namespace);
    const names = this.#names;
    this.#loads = new Loads(loads, logger);
    this.#logger = logger;
    this.#clock = clock;
    this.#lines = new RareLines(clock, FIRST_LINES);
    const onMalformed = (detail: string): void => {
      this.#reportOnce(detail, 'ignored a malformed claim in Consul');
    };
    const onUnreadable = (detail: string, about: string): void => {
      this.#reportOnce(detail, 'skipped a malformed service in Consul', about);
    };
    this.#mediaNodes = new ServiceReader(MEDIA_NODE_META, ({ mediaNodeId }) => mediaNodeId, onUnreadable);
    this.#edges = new ServiceReader(EDGE_META, ({ edgeId }) => edgeId, onUnreadable);
    this.#ids = new IdClaims(this.#client, names, onMalformed);
    this.#slices = new SliceBooks({ client: this.#client, names, clock, onMalformed });
    this.#health = new ConsulHealth(logger, clock);
    this.#discovery = new Discovery({
      client: this.#client,
      names,
      clock,
      health: this.#health,
      isBlind: () => this.#leases.isHidden(),
      onFault: (fault, datacenter) => {
        logger.warn(
          { err: fault, consulDatacenter: datacenter },
          'Consul does not answer for another datacenter; its last known entries are used',
        );
      },
      onHeld: (datacenter) => {
        const toDo =
          'see whether the network drops connections to the Consul agent that say nothing for three seconds, or a proxy before it holds queries for longer than their parameter wait says';
        logger.warn(
          { consulDatacenter: datacenter, cause: 'no_answer', toDo },
          'Consul did not answer a query in time and answers another one; querying again',
        );
      },
    });
    this.#leases = new Leases({
      client: this.#client,
      discovery: this.#discovery,
      slices: this.#slices,
      clock,
      logger,
    });
  }

  /** Whether Consul answers. */
  get availability(): ConsulHealth {
    return this.#health;
  }

  async claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult> {
    const service = candidateService(this.#names, claim, leaseMs);
    return this.#ask(service.id, async () => {
      const previous = await this.#leases.stillHeld(service.id);
      const foreseen = await this.#slices.foresee(claim, await this.#heldElsewhere(claim));
      if (foreseen.refused !== null) return foreseen;
      let held = previous ?? (await this.#leases.enter('media-node', service));
      try {
        const result = await this.#claimSlice(claim, held);
        if (result.refused === null) {
          const { announcedAddress, announcedIpv6 } = claim;
          held = { ...held, slice: { announcedAddress, announcedIpv6, portSlice: result.portSlice } };
          await this.#leases.renewOrThrow(held, held.isAnnounced ? held.service : service);
        } else if (previous === undefined) await this.#leases.discard(held);
        return result;
      } catch (fault) {
        if (previous === undefined) await this.#leases.discard(held);
        throw fault;
      }
    });
  }

  async announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const result = await this.#announce({
      kind: 'media-node',
      id: record.mediaNodeId,
      incarnation: record.incarnation,
      service: mediaNodeService(this.#names, record, leaseMs),
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
      service: edgeService(this.#names, record, leaseMs),
      node: undefined,
    });
  }

  async withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('media-node', this.#names.serviceId('media-node', mediaNodeId, incarnation));
    await this.#loads.withdraw(mediaNodeId, incarnation);
  }

  async withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void> {
    await this.#withdraw('edge', this.#names.serviceId('edge', edgeId, incarnation));
  }

  async liveMediaNodes(): Promise<readonly MediaNodeRecord[]> {
    const [instances] = await Promise.all([this.#discovery.instances('media-node'), this.#loads.read()]);
    return this.#loads.enterInto(await this.#mediaNodes.read(instances));
  }

  async liveEdges(): Promise<readonly EdgeRecord[]> {
    return this.#edges.read(await this.#discovery.instances('edge'));
  }

  /** Ends all queries. Withdraw services before; otherwise they lapse. */
  close(): void {
    this.#discovery.close();
    this.#client.close();
    this.#lines.close();
  }

  #announce(announcement: Announcement): Promise<AnnounceResult> {
    const { service, node } = announcement;
    return this.#ask(service.id, async () => {
      const held = this.#leases.find(service.id);
      if (held?.isAnnounced === true) {
        if (isSameSlice(held.slice, node) && (await this.#leases.renew(held, service))) return GRANTED;
        await this.#leases.release(held);
        return this.#claim(announcement, undefined);
      }
      const candidate = await this.#leases.stillHeld(service.id);
      if (candidate === undefined || isSameSlice(candidate.slice, node)) {
        return this.#claim(announcement, candidate);
      }
      await this.#leases.release(candidate);
      return this.#claim(announcement, undefined);
    });
  }

  /** Runs an operation of a service in its turn, and reports once if the token does not suffice for it. */
  async #ask<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await this.#turns.run(id, work);
      this.#health.noteAnnounced(undefined);
      return result;
    } catch (fault) {
      if (fault instanceof ConsulForbids) {
        this.#leases.noteForbidden(id);
        this.#health.noteAnnounced(fault.trouble);
      }
      throw fault;
    }
  }

  /** Claims id and ports of an announcement under the session of its candidate, and only then lets its check pass. */
  async #claim(announcement: Announcement, candidate: Held | undefined): Promise<AnnounceResult> {
    const { service, kind, node } = announcement;
    const foreseen = await this.#foresee(announcement);
    if (foreseen.refused !== null) return foreseen;
    const entered = candidate ?? (await this.#leases.enter(kind, service));
    const held: Held = { ...entered, slice: node, isAnnounced: true };
    try {
      const result = await this.#claimUnder(announcement, held);
      if (result.refused === null) await this.#leases.renewOrThrow(held, service);
      else await this.#leases.discard(held);
      return result;
    } catch (fault) {
      await this.#leases.discard(held);
      throw fault;
    }
  }

  /** Checks whether an announcement would be refused now, so that most refusals change nothing. */
  async #foresee(announcement: Announcement): Promise<AnnounceResult> {
    const { node } = announcement;
    if ((await this.#ids.isHeld(announcement)) || (await this.#isIdHeldElsewhere(announcement))) {
      return { refused: 'id_taken' };
    }
    if (node === undefined) return GRANTED;
    return exactly(await this.#slices.foresee(claimOf(node), await this.#heldElsewhere(node)));
  }

  /**
   * Each datacenter has its own KV store. So the claim is made here first, and then the others are read: of two
   * processes that claim the same in two datacenters at once, at least one sees the other, and yields.
   */
  async #claimUnder(announcement: Announcement, held: Held): Promise<AnnounceResult> {
    const { kind, id, incarnation, node } = announcement;
    const forId = await this.#ids.claim({ kind, id, incarnation, session: held.session });
    if (forId.refused !== null) return forId;
    if (await this.#isIdHeldElsewhere(announcement)) return { refused: 'id_taken' };
    return node === undefined ? GRANTED : exactly(await this.#claimSlice(claimOf(node), held));
  }

  /** Like {@link ConsulRegistry.#claimUnder}, for ports. A claim from a range that yields takes the next slice. */
  async #claimSlice(
    claim: PortSliceClaim,
    { session, slice: previous, isAnnounced: hasId }: Held,
  ): Promise<PortSliceResult> {
    let elsewhere = await this.#heldElsewhere(claim);
    for (;;) {
      const result = await this.#slices.claim(claim, { session, previous, hasId, elsewhere });
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

  /** A datacenter that does not answer refuses nobody: otherwise the loss of one would stop the others. */
  async #inOthers<Result>(look: (datacenter: string) => Promise<Result>): Promise<readonly Result[]> {
    const looks = this.#discovery.otherDatacenters().map(async (datacenter) => {
      try {
        return [await look(datacenter)];
      } catch (fault) {
        this.#logger.warn(
          { err: fault, consulDatacenter: datacenter },
          'claims of another datacenter not read; none are assumed',
        );
        return [];
      }
    });
    return (await Promise.all(looks)).flat();
  }

  async #withdraw(kind: ServiceKind, id: string): Promise<void> {
    await this.#turns.run(id, async () => this.#leases.withdraw(kind, id));
  }

  #reportOnce(detail: string, message: string, about = ''): void {
    const report = `${about}|${detail}`;
    if (this.#reported.has(report)) return;
    if (this.#reported.size >= MAX_REPORTED) this.#reported.clear();
    this.#reported.add(report);
    this.#lines.say(message, (unsaid) => {
      this.#logger.error({ detail, about, ...leftOut(unsaid) }, message);
    });
  }
}

const claimOf = (node: MediaNodeRecord): PortSliceClaim => ({ ...node, wanted: node.portSlice });

/** The result of a claim of exactly one slice, as the result of an announcement. */
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
