/** The contract suites on a real store of any kind, as a process connects to it. */
import type { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import { openCluster, openServer } from '../redis/client.ts';
import { connectClusterStore } from '../redis/connect.ts';
import type { ClusterStore } from '../redis/connect.ts';
import type { StoreAddress } from '../redis/store-address.ts';
import { describeRegistry } from '../registry/registry.contract.ts';
import { describeGatewayStore } from '../room/gateway-store.contract.ts';
import { describePlacementStore } from '../room/placement-store.contract.ts';
import { describeRecoveryStore } from '../room/recovery-store.contract.ts';
import type { RecoveryUnderTest } from '../room/recovery-store.contract.ts';
import { describeRoomEntries } from '../room/room-entries.contract.ts';
import { describeRoomLog } from '../room/room-log.contract.ts';
import type { RoomsUnderTest } from './rooms-under-test.ts';
import { describeTenantStore } from '../tenant/tenant-store.contract.ts';
import type { TestStore } from './redis-server.ts';
import { byKind } from './by-kind.ts';
import { refusalsOf } from './redis-users.ts';
import type { StorePorts } from './by-kind.ts';
import { KEYS } from './store-keys.ts';
import { waitFor } from './wait-for.ts';

/** Connects as a process does, and waits until commands are answered. */
export async function connectTestStore(address: StoreAddress): Promise<ClusterStore> {
  const store = connectClusterStore({
    address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'test',
    logger: silentLogger(),
  });
  await waitFor('the store', () => store.isAvailable());
  return store;
}

/** What a test looks into a store with, beside the ports. */
class StoreInspector {
  readonly #client: Redis | Cluster;

  static async open(address: StoreAddress): Promise<StoreInspector> {
    const client =
      address.kind === 'cluster' ? openCluster(address, 'inspector') : openServer(address, 'inspector');
    // What does not connect shows in the wait below.
    client.on('error', () => undefined);
    await waitFor('the store', () => client.status === 'ready');
    return new StoreInspector(client);
  }

  private constructor(client: Redis | Cluster) {
    this.#client = client;
  }

  async flush(): Promise<void> {
    await Promise.all(this.#masters().map((master) => master.flushall()));
  }

  async countKeys(): Promise<number> {
    const counts = await Promise.all(this.#masters().map((master) => master.dbsize()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Sets all leases back: they run by Redis TIME, which cannot be set, and no test is to depend on how fast this machine
   * is.
   */
  async setLeasesBack(byMs: number): Promise<void> {
    for (const key of [KEYS.mediaNodes, KEYS.edges, KEYS.portSlices]) {
      for (const [id, value] of Object.entries(await this.#client.hgetall(key))) {
        const [leaseUntilMs = '', ...rest] = value.split('|');
        await this.#client.hset(key, id, [String(Number(leaseUntilMs) - byMs), ...rest].join('|'));
      }
    }
    const revocations = this.#masters().flatMap((master) =>
      ['revoked', 'ended'].map((kind) => master.keys(`*:${kind}*`)),
    );
    for (const key of (await Promise.all(revocations)).flat())
      await this.#client.pexpire(key, (await this.#client.pttl(key)) - byMs);
    const found = await Promise.all(this.#masters().map((master) => master.keys('*:claims')));
    for (const key of found.flat()) {
      for (const claim of await this.#client.zrange(key, '0', '-1'))
        await this.#client.zincrby(key, String(-byMs), claim);
    }
  }

  /** Lets time pass for rooms: their keys run out by Redis' clock, and so does the time in which they are rebuilt. */
  async setRoomsBack(byMs: number): Promise<void> {
    for (const key of await this.#roomKeys()) {
      // What would run out at once is deleted, and so is a key that was to stay for ever.
      await this.#client.pexpire(key, (await this.#client.pttl(key)) - byMs);
      if (!key.endsWith(':meta')) continue;
      const until = await this.#client.hget(key, 'rebuildingUntilMs');
      if (until !== null) await this.#client.hset(key, 'rebuildingUntilMs', String(Number(until) - byMs));
    }
    // What comes next is later by the store's clock too, which counts some things in whole milliseconds.
    const beganMs = await this.#nowMs();
    await waitFor('the next millisecond', async () => (await this.#nowMs()) > beganMs);
  }

  async #nowMs(): Promise<number> {
    const [master] = this.#masters();
    const [seconds = 0, microseconds = 0] = (await master?.time()) ?? [];
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }

  /** Keeps what is there of rooms now. @returns brings it back, as a failover does that lost what was written since */
  async keepRooms(): Promise<() => Promise<void>> {
    const kept = await Promise.all(
      (await this.#roomKeys()).map(async (key) => [key, await this.#client.dumpBuffer(key)] as const),
    );
    return async () => {
      await this.flush();
      for (const [key, value] of kept) await this.#client.restore(key, 0, value);
    };
  }

  async #roomKeys(): Promise<string[]> {
    const found = await Promise.all(this.#masters().map((master) => master.keys(KEYS.anyRoom)));
    return found.flat();
  }

  /** What users asked for that they may not, also where nobody minds the refusal. */
  async refusals(): Promise<readonly string[]> {
    return (await Promise.all(this.#masters().map(refusalsOf))).flat();
  }

  close(): void {
    this.#client.disconnect();
  }

  #masters(): readonly Redis[] {
    return 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
  }
}

const EVERY_SUITE = [
  'registry',
  'placements',
  'room log',
  'gateways',
  'entries',
  'recovery',
  'tenants',
] as const;
export type StoreSuite = (typeof EVERY_SUITE)[number];

/**
 * Runs contract suites, all of them unless told, on one kind of store; each test begins with an empty one. What media nodes ask
 * is asked as a media node, and the rest as an edge, by the users that are shipped for them (SPEC KY4).
 */
export function describeStoreContracts(
  version: string,
  start: () => Promise<TestStore>,
  suites: readonly StoreSuite[] = EVERY_SUITE,
): void {
  let server: TestStore;
  let inspector: StoreInspector;
  beforeAll(async () => {
    server = await start();
    inspector = await StoreInspector.open(server.address);
  });
  afterAll(async () => {
    try {
      expect(await inspector.refusals(), 'what the users lack').toEqual([]);
    } finally {
      inspector.close();
      await server.stop();
    }
  });

  const open = async (): Promise<StorePorts> => {
    await inspector.flush();
    const [edge, mediaNode] = await Promise.all([
      connectTestStore(server.as('edge').address),
      connectTestStore(server.as('media-node').address),
    ]);
    return byKind(edge, mediaNode);
  };

  it(`[KY4] an operator looks who lives (${version})`, async () => {
    const store = await connectTestStore(server.as('operator').address);
    await store.registry.liveMediaNodes();
    await store.registry.liveEdges();
    await store.close();
  });

  if (suites.includes('registry'))
    describeRegistry(version, async () => {
      const store = await open();
      return {
        registry: store.registry,
        passTime: (byMs) => inspector.setLeasesBack(byMs),
        close: () => store.close(),
      };
    });

  const openRooms = async (): Promise<RoomsUnderTest> => {
    const stores = await open();
    return { stores, remainingCount: () => inspector.countKeys(), close: () => stores.close() };
  };
  if (suites.includes('placements')) describePlacementStore(version, openRooms);
  if (suites.includes('room log')) describeRoomLog(version, openRooms);
  if (suites.includes('gateways')) describeGatewayStore(version, openRooms);

  const openRecovery = async (): Promise<RecoveryUnderTest> => {
    const store = await open();
    return {
      stores: store,
      flush: () => inspector.flush(),
      checkpoint: () => inspector.keepRooms(),
      passTime: (byMs) => inspector.setRoomsBack(byMs),
      remainingCount: () => inspector.countKeys(),
      close: () => store.close(),
    };
  };
  if (suites.includes('recovery')) describeRecoveryStore(version, openRecovery);
  if (suites.includes('entries')) describeRoomEntries(version, openRecovery);

  if (suites.includes('tenants'))
    describeTenantStore(version, async () => {
      const store = await open();
      return {
        tenants: store.tenants,
        nowSeconds: () => Math.floor(Date.now() / 1_000),
        passTime: (byMs) => inspector.setLeasesBack(byMs),
        remainingCount: () => inspector.countKeys(),
        close: () => store.close(),
      };
    });
}
