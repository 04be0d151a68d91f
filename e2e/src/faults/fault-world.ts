import { fileURLToPath } from 'node:url';
import { LocalDatacenters, startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { Distance, NO_IMPAIRMENT } from '@plenary/loadtest/impairment';
import type { Endpoint, Impairment, OneWay } from '@plenary/loadtest/impairment';
import { launchChromium } from '@plenary/loadtest/browser';
import { makeJoinToken, startPageServer } from '@plenary/loadtest/pages';
import type { PageServer } from '@plenary/loadtest/pages';
import type { Browser } from 'playwright-core';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { lastLines } from '../harness/last-lines.ts';
import { isNothing, leftOver } from '../harness/left-over.ts';
import { until } from '../harness/until.ts';
import { HostClock } from '@plenary/cluster/testing/host-clock';
import { Person } from './person.ts';
import { startStore, storeEndpoints } from './store.ts';
import type { FaultStore, StoreKind } from './store.ts';

const PAGE = fileURLToPath(new URL('./page/page.ts', import.meta.url));

/** Two datacenters with two hosts each, and a witness. Each host has a media node; a datacenter's first host also has an edge. */
const HOSTS = [
  { name: 'gra', mediaNodes: 1 },
  { name: 'gra-b', mediaNodes: 1 },
  { name: 'sbg', mediaNodes: 1 },
  { name: 'sbg-b', mediaNodes: 1 },
  { name: 'waw', mediaNodes: 0 },
];
const WITH_EDGE = ['gra', 'sbg'];
const WITH_STORE = ['gra', 'sbg', 'waw'];
/** This host has an edge and a media node, but not the single Redis. */
const HOST_WITH_CLOCK = 'sbg';
const SLICE_SIZE = 20;
/** Workers of each media node. */
const WORKERS = 1;
/** Many processes start at once, which takes long on a loaded machine. */
const READY_TIMEOUT_MS = 90_000;

/** A round trip of ten milliseconds, with some jitter. */
const DISTANCE: Impairment = { ...NO_IMPAIRMENT, delayMs: 5, jitterMs: 2 };

/** Two people in one datacenter, so that one of them is behind a gateway. */
const PEOPLE = [
  { name: 'Ann', datacenter: 'gra' },
  { name: 'Bob', datacenter: 'sbg' },
  { name: 'Cid', datacenter: 'sbg' },
];

/** Packing is off, so that each person of a room is on another node as long as there is one. */
const ENV = {
  PLENARY_PACKING_LIMIT: '0',
  PLENARY_ROOM_PEERS_PER_NODE: '1',
  PLENARY_ALLOWED_ORIGINS: '*',
};

export const datacenterOf = (host: string): string => host.split('-')[0] ?? host;

export interface FaultWorldOptions {
  readonly store: StoreKind;
  /** Whether {@link HOST_WITH_CLOCK} has a clock of its own. */
  readonly hasOwnClock?: boolean;
  /** Makes loss and jitter reproducible. */
  readonly seed?: number;
}

interface Parts {
  readonly cluster: LocalCluster;
  readonly datacenters: LocalDatacenters;
  readonly store: FaultStore;
  readonly distance: Distance;
  readonly browser: Browser;
  readonly pages: PageServer;
  readonly clock: HostClock | undefined;
}

/** A cluster over two datacenters and a witness, the distance between them, and a meeting's people. */
export class FaultWorld {
  readonly cluster: LocalCluster;
  readonly datacenters: LocalDatacenters;
  readonly store: FaultStore;
  readonly #parts: Parts;
  readonly #end: () => Promise<void>;
  #people: Person[] = [];
  #roomId = '';
  #rooms = 0;

  private constructor(parts: Parts, end: () => Promise<void>) {
    this.#parts = parts;
    this.#end = end;
    this.cluster = parts.cluster;
    this.datacenters = parts.datacenters;
    this.store = parts.store;
  }

  /** @throws Error if this machine cannot start it, after everything was removed again */
  static async start({ store: kind, hasOwnClock = false, seed = 1 }: FaultWorldOptions): Promise<FaultWorld> {
    const ends: (() => Promise<void>)[] = [];
    const end = async (): Promise<void> => {
      for (const step of ends.splice(0).reverse()) await step();
    };
    try {
      const datacenters = await LocalDatacenters.create(HOSTS, { apart: true });
      ends.push(() => datacenters.remove());
      const namespace = datacenters.between ?? '';
      const places = WITH_STORE.map((host) => datacenters.place(host));
      const storeDistance = await Distance.start({
        namespace,
        udp: [],
        tcp: storeEndpoints(kind, places),
        impairment: DISTANCE,
        seed,
      });
      ends.push(() => storeDistance.close());
      const store = await startStore(kind, places);
      ends.push(() => store.stop());
      const clock = hasOwnClock ? await HostClock.create() : undefined;
      ends.push(async () => clock?.remove());
      const cluster = await startCluster(datacenters, store, clock);
      ends.push(() => cluster.stop());
      const distance = await Distance.start({
        namespace,
        ...endpointsOf(cluster),
        impairment: DISTANCE,
        seed,
      });
      ends.push(() => distance.close());
      const pages = await startPageServer(PAGE);
      ends.push(() => pages.close());
      const browser = await launchChromium();
      ends.push(() => browser.close());
      const parts = { cluster, datacenters, store, distance, browser, pages, clock };
      const world = new FaultWorld(parts, end);
      await world.setLoss();
      return world;
    } catch (error) {
      await end();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#dismiss();
    await this.#end();
  }

  get people(): readonly Person[] {
    return this.#people;
  }

  get roomId(): string {
    return this.#roomId;
  }

  /** Has everybody join a new room. */
  async meet(): Promise<void> {
    this.#rooms += 1;
    this.#roomId = `faults-${this.#rooms}`;
    const { browser, pages, cluster } = this.#parts;
    for (const { name, datacenter } of PEOPLE) {
      const edge = cluster.edges.find((one) => one.datacenter === datacenter);
      if (edge === undefined) throw new Error(`${datacenter} has no edge`);
      const roomId = this.#roomId;
      const person = await Person.join(browser, {
        name,
        datacenter,
        roomId,
        edgeUrl: edge.publicUrl,
        pageUrl: pages.url,
        token: () => makeJoinToken(cluster, { subject: name, roomId, datacenter }),
      });
      this.#people.push(person);
    }
  }

  /** Everybody leaves, and nothing of the meeting remains. */
  async end(): Promise<void> {
    await Promise.all(this.#people.map((person) => person.leave()));
    await this.#dismiss();
    const { url } = await this.store.primary();
    await until('everything is freed', () => leftOver(this.cluster, url), isNothing, 60_000);
    await until(
      'every media node has its one worker, and no other process',
      () => this.#processes(),
      (counts) => Object.values(counts).every((count) => count === WORKERS),
    );
  }

  /** How many child processes of each media node are running. */
  #processes(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.cluster.mediaNodes.map(({ id, pid }) => [id, pid === null ? 0 : childrenOf(pid).length]),
    );
  }

  /** Closes the people of a meeting that failed. */
  async #dismiss(): Promise<void> {
    await Promise.all(this.#people.splice(0).map((person) => person.close()));
  }

  /** @throws Error if nobody has this name */
  person(name: string): Person {
    const person = this.#people.find((one) => one.name === name);
    if (person === undefined) throw new Error(`there is no ${name}`);
    return person;
  }

  async mediaNodeOf(person: Person): Promise<RunningMediaNode> {
    const { mediaNodeId } = await person.read();
    const node = this.cluster.mediaNodes.find(({ id }) => id === mediaNodeId);
    if (node === undefined) throw new Error(`${person.name} is on no media node`);
    return node;
  }

  async edgeOf(person: Person): Promise<RunningEdge> {
    const { edgeId } = await person.read();
    const edge = this.cluster.edges.find(({ id }) => id === edgeId);
    if (edge === undefined) throw new Error(`${person.name} is on no edge`);
    return edge;
  }

  /** The host that a media node runs on. */
  hostOf(node: RunningMediaNode): string {
    const host = HOSTS.filter(({ mediaNodes }) => mediaNodes > 0)[this.cluster.mediaNodes.indexOf(node)];
    if (host === undefined) throw new Error(`${node.id} is on no host`);
    return host.name;
  }

  /** The datacenter of the store's primary. */
  async datacenterOfPrimary(): Promise<string> {
    const { host } = await this.store.primary();
    const found = WITH_STORE.find((name) => this.datacenters.place(name).host === host);
    if (found === undefined) throw new Error('the primary is nowhere');
    return datacenterOf(found);
  }

  /** The clock of the host that has its own. @throws Error if no host has */
  get clock(): HostClock {
    const { clock } = this.#parts;
    if (clock === undefined) throw new Error('no host has a clock of its own');
    return clock;
  }

  async cut(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) await this.datacenters.cut(host);
  }

  async mend(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) await this.datacenters.mend(host);
  }

  hostsOf(datacenter: string): string[] {
    return HOSTS.map(({ name }) => name).filter((name) => datacenterOf(name) === datacenter);
  }

  /**
   * Loses a share of the media packets between the datacenters, in both directions unless `only` names one. Packets within a
   * datacenter are not impaired.
   */
  async setLoss(lossRate = 0, only?: { readonly from: string; readonly to: string }): Promise<void> {
    const addresses = (datacenter: string): string[] =>
      this.cluster.mediaNodes
        .filter((node) => node.datacenter === datacenter)
        .map(({ announcedAddress }) => announcedAddress);
    const inside: OneWay[] = WITH_EDGE.map((name) => ({
      from: addresses(name),
      to: addresses(name),
      impairment: NO_IMPAIRMENT,
    }));
    const lossy = { ...DISTANCE, lossRate };
    const oneWay =
      only === undefined ? [] : [{ from: addresses(only.from), to: addresses(only.to), impairment: lossy }];
    await this.#parts.distance.setWays([...inside, ...oneWay]);
    await this.#parts.distance.setImpairment(only === undefined ? lossy : DISTANCE);
  }

  /** The last lines of every process and page, for the error of a meeting that did not recover. */
  async diagnostics(): Promise<string> {
    const parts: string[] = [...this.store.lastLines(), ...lastLines(this.cluster)];
    for (const person of this.#people) {
      const look = await person.read().catch((error: unknown) => String(error));
      const warnings = await person.warnings().catch(() => []);
      parts.push(`--- ${person.name} ${JSON.stringify(look)}`, ...warnings.slice(-15));
    }
    return parts.join('\n');
  }
}

async function startCluster(
  datacenters: LocalDatacenters,
  store: FaultStore,
  clock: HostClock | undefined,
): Promise<LocalCluster> {
  // A store of several servers has settings of its own instead of one address.
  const storeOf = (host = '') => store.settingsIn(datacenterOf(host));
  const clockOf = (host: string | undefined) => (host === HOST_WITH_CLOCK ? clock?.env : undefined);
  return startLocalCluster({
    edges: WITH_EDGE.length,
    mediaNodes: datacenters.mediaNodeCount,
    workers: WORKERS,
    sliceSize: SLICE_SIZE,
    web: false,
    guests: false,
    logLevel: 'info',
    readyTimeoutMs: READY_TIMEOUT_MS,
    redisUrl: store.url,
    edge: (index) => ({
      ...datacenters.place(WITH_EDGE[index] ?? ''),
      env: { ...ENV, ...storeOf(WITH_EDGE[index]), ...clockOf(WITH_EDGE[index]) },
    }),
    mediaNode: (index) => {
      const place = datacenters.mediaNode(index);
      return {
        ...place,
        datacenter: datacenterOf(place.datacenter ?? ''),
        env: { ...storeOf(place.datacenter), ...clockOf(place.datacenter) },
      };
    },
    env: { REDIS_URL: '' },
  });
}

function endpointsOf({ mediaNodes }: LocalCluster): { readonly udp: Endpoint[]; readonly tcp: Endpoint[] } {
  return {
    udp: mediaNodes.flatMap(({ announcedAddress: host, portSlice: { first, last } }) =>
      Array.from({ length: last - first + 1 }, (_, index) => ({ host, port: first + index })),
    ),
    tcp: mediaNodes.map(({ url }) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) })),
  };
}
