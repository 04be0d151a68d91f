import { fileURLToPath } from 'node:url';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { makeJoinToken, startPageServer } from '@plenary/loadtest/pages';

import type { PageServer } from '@plenary/loadtest/pages';
import type { Browser } from 'playwright-core';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { SilentRelay } from '@plenary/cluster/testing/silent-relay';
import { Person } from '../faults/person.ts';
import { lastLines } from '../harness/last-lines.ts';
import { leftOver } from '../harness/left-over.ts';
import type { LeftOver } from '../harness/left-over.ts';
import { readMetrics } from '../harness/metrics.ts';
import { CountedKeys } from './counted-keys.ts';
import { WireTap } from './line.ts';
import { MEETING_ROOM } from './meeting-room.ts';
import { RawClient } from './raw-client.ts';
import type { RawClientOptions } from './raw-client.ts';
import { Rival } from './rival.ts';

export { MEETING_ROOM } from './meeting-room.ts';

const PAGE = fileURLToPath(new URL('../faults/page/page.ts', import.meta.url));
/** Many processes start at once, which takes long on a loaded machine. */
const READY_TIMEOUT_MS = 90_000;
/** The edges trust connections from this address as their proxy, which names the client's address. */
export const PROXY_ADDRESS = '127.9.9.9';
/** How long sessions wait for their clients, in milliseconds: short, so that an attacker's sessions lapse soon after the attack. */
const RESUME_WITHIN_MS = 1_000;
const PEOPLE = [
  { name: 'Ann', datacenter: 'gra' },
  { name: 'Bob', datacenter: 'sbg' },
  { name: 'Cid', datacenter: 'gra' },
];

/** The world that an attack needs; attacks with the same world run in it one after the other. */
export type HostileWorldKind =
  /** Two edges and two media nodes with the defaults of a local cluster. */
  | 'plain'
  /** Like `plain`, but the edges reach the store through a relay that can lose data. */
  | 'relayed'
  /** Like `plain`, but an attacker taps the connection to each media node's control port. */
  | 'overheard';

/** The counts that must be the same before and after an attack. */
export interface Footprint {
  /** Process ids of edges, media nodes and the store. */
  readonly processes: Readonly<Record<string, number | null>>;
  readonly sockets: number;
  readonly waitingEntries: number;
  readonly departures: number;
  readonly left: LeftOver;
}

interface Parts {
  readonly cluster: LocalCluster;
  readonly browser: Browser;
  readonly pages: PageServer;
  readonly rival: Rival;
  readonly countedKeys: CountedKeys;
  /** The processes that ended unasked, and how. */
  readonly ended: string[];
  readonly relay: SilentRelay | undefined;
  readonly lines: readonly WireTap[];
}

/** A cluster with a meeting of real clients, and strangers who may do anything. */
export class HostileWorld {
  readonly cluster: LocalCluster;
  readonly people: readonly Person[];
  readonly #parts: Parts;
  readonly #end: () => Promise<void>;
  #addresses = 0;

  private constructor(parts: Parts, people: readonly Person[], end: () => Promise<void>) {
    this.cluster = parts.cluster;
    this.people = people;
    this.#parts = parts;
    this.#end = end;
  }

  /** @throws Error if this machine cannot start it, after everything was removed again */
  static async start(kind: HostileWorldKind): Promise<HostileWorld> {
    const ends: (() => Promise<void>)[] = [];
    const end = async (): Promise<void> => {
      for (const step of ends.splice(0).reverse()) await step();
    };
    try {
      const ended: string[] = [];
      const store = kind === 'relayed' ? await startRelayedStore(ends) : undefined;
      const rival = new Rival();
      ends.push(() => {
        rival.remove();
        return Promise.resolve();
      });
      const countedKeys = new CountedKeys();
      await countedKeys.start();
      ends.push(() => countedKeys.stop());
      const lines = kind === 'overheard' ? [await WireTap.create(), await WireTap.create()] : [];
      ends.push(async () => {
        await Promise.all(lines.map((line) => line.close()));
      });
      const cluster = await startCluster(store, ended, { rival, countedKeys, lines });
      ends.push(() => cluster.stop());
      const pages = await startPageServer(PAGE);
      ends.push(() => pages.close());
      const browser = await launchChromium();
      ends.push(() => browser.close());
      const people: Person[] = [];
      for (const { name, datacenter } of PEOPLE) {
        people.push(
          await Person.join(browser, {
            name,
            datacenter,
            roomId: MEETING_ROOM,
            edgeUrl: edgeIn(cluster, datacenter).publicUrl,
            pageUrl: pages.url,
            token: () => makeJoinToken(cluster, { subject: name, roomId: MEETING_ROOM, datacenter }),
          }),
        );
      }
      const parts = { cluster, browser, pages, ended, rival, countedKeys, relay: store?.relay, lines };
      return new HostileWorld(parts, people, end);
    } catch (error) {
      await end();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.people.map((person) => person.close()));
    await this.#end();
  }

  /** The relay between the edges and the store, in the world that has one. */
  get relay(): SilentRelay {
    const { relay } = this.#parts;
    if (relay === undefined) throw new Error('This world has no relay.');
    return relay;
  }

  /** The tap at the media node that hosts Ann and Cid, in the world that has one. */
  get line(): WireTap {
    const [line] = this.#parts.lines;
    if (line === undefined) throw new Error('This world has no tapped line.');
    return line;
  }

  /** The attacked edge: Ann and Cid are on it, Bob is not. */
  get target(): RunningEdge {
    return edgeIn(this.cluster, 'gra');
  }

  /** The media node that hosts Ann and Cid. */
  get targetNode(): RunningMediaNode {
    const node = this.cluster.mediaNodes.find(({ datacenter }) => datacenter === 'gra');
    if (node === undefined) throw new Error('gra has no media node');
    return node;
  }

  /** A join token that the application would give to a person whom it trusts too much. */
  token(grants: Partial<Parameters<typeof makeJoinToken>[1]> = {}): string {
    return makeJoinToken(this.cluster, { subject: 'mallory', roomId: MEETING_ROOM, ...grants });
  }

  /** Another tenant of the cluster. */
  get rival(): Rival {
    return this.#parts.rival;
  }

  /** An application whose keys edges read over HTTP. */
  get countedKeys(): CountedKeys {
    return this.#parts.countedKeys;
  }

  /** An address of this machine that no attack has used. */
  nextAddress(): string {
    this.#addresses += 1;
    return `127.1.${Math.floor(this.#addresses / 250)}.${(this.#addresses % 250) + 1}`;
  }

  /** Opens a raw connection, to the target by default. @throws HandshakeRefused */
  async connect(options: RawClientOptions = {}): Promise<RawClient> {
    return RawClient.open(options.edgeUrl ?? this.target.publicUrl, options);
  }

  /** Opens a raw connection and its namespace. @throws HandshakeRefused */
  async enter(options: RawClientOptions = {}): Promise<RawClient> {
    const client = await this.connect(options);
    await client.enter();
    return client;
  }

  /** Runs an action on a connection from an unused address, and closes it. @throws HandshakeRefused */
  async onFreshConnection<Answer>(act: (client: RawClient) => Promise<Answer>): Promise<Answer> {
    const client = await this.enter({ localAddress: this.nextAddress() });
    try {
      return await act(client);
    } finally {
      await client.close();
    }
  }

  async footprint(): Promise<Footprint> {
    const { edges, mediaNodes, redis } = this.cluster;
    const counts = {
      plenary_edge_sockets: 0,
      plenary_edge_waiting_entries: 0,
      plenary_edge_pending_departures: 0,
    };
    for (const edge of edges) {
      const readings = await readMetrics(edge.operatorUrl);
      counts.plenary_edge_sockets += readings.get('plenary_edge_sockets') ?? 0;
      counts.plenary_edge_waiting_entries += readings.get('plenary_edge_waiting_entries') ?? 0;
      counts.plenary_edge_pending_departures += readings.get('plenary_edge_pending_departures') ?? 0;
    }
    const processes = [...edges, ...mediaNodes, ...(redis === null ? [] : [redis])];
    return {
      processes: Object.fromEntries(processes.map(({ id, pid }) => [id, pid])),
      sockets: counts.plenary_edge_sockets,
      waitingEntries: counts.plenary_edge_waiting_entries,
      departures: counts.plenary_edge_pending_departures,
      left: await leftOver(this.cluster),
    };
  }

  /** The processes that ended unasked, and how. */
  get ended(): readonly string[] {
    return this.#parts.ended;
  }

  /** The last lines of every process and page, for the error of an attack that was noticed. */
  async diagnostics(): Promise<string> {
    const parts: string[] = [...lastLines(this.cluster)];
    for (const person of this.people) {
      const warnings = await person.warnings().catch(() => []);
      parts.push(`--- ${person.name}`, ...warnings.slice(-15));
    }
    return parts.join('\n');
  }
}

function edgeIn(cluster: LocalCluster, datacenter: string): RunningEdge {
  const edge = cluster.edges.find((one) => one.datacenter === datacenter);
  if (edge === undefined) throw new Error(`${datacenter} has no edge`);
  return edge;
}

/** A store outside the cluster, and the relay between it and the edges. */
interface RelayedStore {
  readonly url: string;
  readonly relay: SilentRelay;
}

async function startRelayedStore(ends: (() => Promise<void>)[]): Promise<RelayedStore> {
  const redis = await startRedisServer();
  ends.push(() => redis.stop());
  const relay = await SilentRelay.to(redis.port);
  ends.push(async () => Promise.resolve(relay.close()));
  return { url: redis.url, relay };
}

async function startCluster(
  store: RelayedStore | undefined,
  ended: string[],
  { rival, countedKeys, lines }: Pick<Parts, 'rival' | 'countedKeys' | 'lines'>,
): Promise<LocalCluster> {
  return startLocalCluster({
    edges: 2,
    mediaNodes: 2,
    workers: 1,
    web: false,
    guests: false,
    logLevel: 'info',
    readyTimeoutMs: READY_TIMEOUT_MS,
    ...(store === undefined ? {} : { redisUrl: store.url }),
    edge: () => ({
      env: {
        PLENARY_RESUME_WITHIN_MS: String(RESUME_WITHIN_MS),
        PLENARY_ALLOWED_ORIGINS: '*',
        ...(store === undefined ? {} : { REDIS_URL: `redis://127.0.0.1:${store.relay.port}` }),
        PLENARY_JOIN_KEYS: `${Rival.apiKey}=${rival.keySetPath},${CountedKeys.apiKey}=${countedKeys.url}`,
        PLENARY_TRUSTED_PROXIES: PROXY_ADDRESS,
      },
    }),
    mediaNode: (index) => ({ env: { ...lines[index]?.settings } }),
    onEvent: (event) => {
      if (event.type === 'exit') ended.push(`${event.id} ${event.how}`);
    },
  });
}
