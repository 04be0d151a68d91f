import type { Clock } from '../../clock.ts';
import { MemoryRegistry } from '../../registry/memory-registry.ts';
import type { MemoryRooms } from '../../room/memory-rooms.ts';
import { MemoryRoomStores } from '../../room/memory-room-stores.ts';
import type { RoomStores } from '../../room/room-stores.ts';
import { MemoryTenantStore } from '../../tenant/memory-tenant-store.ts';
import type { RuleBroken } from './rule-broken.ts';
import { SimulatedStoreClient } from './store-client.ts';
import { StoreWatch } from './store-watch.ts';
import type { Life, VirtualTime } from './virtual-time.ts';
import type { Net } from './wire.ts';

/** The clock of the store's host; the next primary's may be behind. */
class StoreClock implements Clock {
  readonly #time: VirtualTime;
  #behindMs = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  readonly wallMs = (): number => this.#time.wallMs() - this.#behindMs;
  readonly monotonicMs = (): number => this.#time.monotonicMs();

  jumpBack(byMs: number): void {
    this.#behindMs += byMs;
  }
}

/** The parts of the store; a test may put a broken one in. */
export interface StoreParts {
  readonly stores: (clock: Clock) => RoomStores & { readonly rooms: MemoryRooms };
  readonly registry: (clock: Clock) => MemoryRegistry;
}

export const SOUND_STORE: StoreParts = {
  stores: (clock) => new MemoryRoomStores(clock),
  registry: (clock) => new MemoryRegistry(clock),
};

/** The store of the cluster: the memory versions of its ports, which can go away, fail over and be emptied. */
export class SimulatedStore {
  readonly stores: RoomStores & { readonly rooms: MemoryRooms };
  readonly registry: MemoryRegistry;
  readonly tenants: MemoryTenantStore;
  readonly watch: StoreWatch;
  readonly #net: Net;
  readonly #clock: StoreClock;
  readonly #clients = new Set<SimulatedStoreClient>();
  #isUp = true;
  #forgotAtMs = -Infinity;
  #awayUntilMs = -Infinity;

  constructor(net: Net, parts: StoreParts, onBroken: (rule: RuleBroken) => void) {
    this.#net = net;
    this.#clock = new StoreClock(net.time);
    this.stores = parts.stores(this.#clock);
    this.registry = parts.registry(this.#clock);
    this.tenants = new MemoryTenantStore(this.#clock);
    this.watch = new StoreWatch(this.stores, onBroken);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** When writes were forgotten last, in virtual milliseconds. */
  get forgotAtMs(): number {
    return this.#forgotAtMs;
  }

  /** A process' connection. */
  connect(life: Life): SimulatedStoreClient {
    const client = new SimulatedStoreClient(this.#net, this, life);
    this.#clients.add(client);
    return client;
  }

  disconnect(client: SimulatedStoreClient): void {
    this.#clients.delete(client);
  }

  /** Nobody reaches the store for a while. @returns whether it was there to go */
  goAway(forMs: number, onReturn: () => void = () => undefined): boolean {
    if (!this.#isUp) return false;
    const { time } = this.#net;
    this.#isUp = false;
    this.#awayUntilMs = time.nowMs + forMs;
    this.#tell();
    time.schedule(
      forMs,
      undefined,
      () => 'the store is back',
      () => {
        onReturn();
        this.#isUp = true;
        this.#tell();
      },
    );
    return true;
  }

  /**
   * A replica takes over that lacks the writes since now. Its clock may be behind, though by less than the failover takes:
   * that is what epochs need in order to grow over a failover that forgets them (EP1).
   */
  failOver(writesForMs: number, awayForMs: number): void {
    const forget = [this.stores.rooms.checkpoint(), this.registry.snapshot(), this.tenants.snapshot()];
    const { time, random } = this.#net;
    time.schedule(
      writesForMs,
      undefined,
      () => 'the primary of the store is lost',
      () => {
        this.goAway(awayForMs, () => {
          for (const part of forget) part();
          this.#clock.jumpBack(random.between(0, awayForMs - 1));
          this.#forgot();
        });
      },
    );
  }

  /** `FLUSHALL`; it takes a moment, so that no epoch is given twice within one millisecond. */
  flush(): void {
    this.goAway(2, () => {
      this.stores.rooms.clear();
      this.registry.clear();
      this.tenants.clear();
      this.#forgot();
    });
  }

  /** Until when the store is away, in virtual milliseconds. */
  get awayUntilMs(): number {
    return this.#awayUntilMs;
  }

  #forgot(): void {
    this.#forgotAtMs = this.#net.time.nowMs;
    void this.watch.readAnew();
  }

  #tell(): void {
    for (const client of this.#clients) client.serverChanged();
  }
}
