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
import { Line } from './line.ts';
import { MEETING_ROOM } from './meeting-room.ts';
import { RawClient } from './raw-client.ts';
import type { RawClientOptions } from './raw-client.ts';
import { Rival } from './rival.ts';

export { MEETING_ROOM } from './meeting-room.ts';

const PAGE = fileURLToPath(new URL('../faults/page/page.ts', import.meta.url));
/** Many processes start at once; a loaded machine takes long over it. */
const READY_TIMEOUT_MS = 90_000;
/** What edges take for their own proxy: whoever connects from here says which address a request is of. */
export const PROXY_ADDRESS = '127.9.9.9';
/** So short that a session which an attacker leaves behind is gone soon after the attack. */
const RESUME_WITHIN_MS = 1_000;
const PEOPLE = [
  { name: 'Ann', datacenter: 'gra' },
  { name: 'Bob', datacenter: 'sbg' },
  { name: 'Cid', datacenter: 'gra' },
];

/** Which world an attack needs; attacks with the same one follow each other in it. */
export type HostileWorldKind =
  /** Two edges and two media nodes with the defaults of a local cluster. */
  | 'plain'
  /** The same, where the edges reach the store by a relay that can lose what passes it. */
  | 'relayed'
  /** Likewise, where somebody is on the line to each media node's control port. */
  | 'overheard';

/** What is counted before an attack and must be the same after it. */
export interface Standing {
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
  /** Processes that ended without being asked to. */
  readonly ended: string[];
  readonly relay: SilentRelay | undefined;
  readonly lines: readonly Line[];
}

/** A cluster with a meeting of real clients, and strangers who may do what they like. */
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

  /** @throws Error when this machine cannot make it; nothing is left of it then */
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
      const lines = kind === 'overheard' ? [await Line.create(), await Line.create()] : [];
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

  /** By which edges reach the store, in the world that has it. */
  get relay(): SilentRelay {
    const { relay } = this.#parts;
    if (relay === undefined) throw new Error('this world has no relay');
    return relay;
  }

  /** To the media node that hosts Ann and Cid, in the world where somebody is on it. */
  get line(): Line {
    const [line] = this.#parts.lines;
    if (line === undefined) throw new Error('nobody is on a line of this world');
    return line;
  }

  /** The edge that attacks are aimed at: Ann and Cid are on it, Bob is not. */
  get target(): RunningEdge {
    return edgeIn(this.cluster, 'gra');
  }

  /** The media node that hosts Ann and Cid. */
  get targetNode(): RunningMediaNode {
    const node = this.cluster.mediaNodes.find(({ datacenter }) => datacenter === 'gra');
    if (node === undefined) throw new Error('gra has no media node');
    return node;
  }

  /** A join token as the application would make it for somebody whom it trusts too much. */
  token(grants: Partial<Parameters<typeof makeJoinToken>[1]> = {}): string {
    return makeJoinToken(this.cluster, { subject: 'mallory', roomId: MEETING_ROOM, ...grants });
  }

  /** Another tenant of the cluster. */
  get rival(): Rival {
    return this.#parts.rival;
  }

  /** An application whose keys edges read by HTTP. */
  get countedKeys(): CountedKeys {
    return this.#parts.countedKeys;
  }

  /** One more address of this machine that nobody has used. */
  nextAddress(): string {
    this.#addresses += 1;
    return `127.1.${Math.floor(this.#addresses / 250)}.${(this.#addresses % 250) + 1}`;
  }

  /** A raw connection, to the target unless told. @throws HandshakeRefused */
  async connect(options: RawClientOptions = {}): Promise<RawClient> {
    return RawClient.open(options.edgeUrl ?? this.target.publicUrl, options);
  }

  /** A raw connection with its namespace open. @throws HandshakeRefused */
  async enter(options: RawClientOptions = {}): Promise<RawClient> {
    const client = await this.connect(options);
    await client.enter();
    return client;
  }

  /** Does something on a connection of an address of its own, and closes it. @throws HandshakeRefused */
  async onFreshConnection<Answer>(act: (client: RawClient) => Promise<Answer>): Promise<Answer> {
    const client = await this.enter({ localAddress: this.nextAddress() });
    try {
      return await act(client);
    } finally {
      await client.close();
    }
  }

  async standing(): Promise<Standing> {
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

  /** How each process ended that was not asked to. */
  get ended(): readonly string[] {
    return this.#parts.ended;
  }

  /** The last lines of every process and page, for an attack that was noticed. */
  async lastWords(): Promise<string> {
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

/** A store beside the cluster, and the relay by which its edges reach it. */
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
