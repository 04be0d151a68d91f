import {
  EPOCH,
  MemoryGatewayStore,
  MemoryPlacementStore,
  MemoryRegistry,
  MemoryRoomEntries,
  MemoryRoomLog,
  MemoryRoomStores,
  PLACED_PEER,
} from '@plenary/cluster';
import type {
  AnnounceResult,
  Gateway,
  GatewayClaim,
  LoggedEvent,
  MediaNodeRecord,
  MemoryRooms,
  Placement,
  PlaceRequest,
  PortSliceClaim,
  PortSliceResult,
  RepublishedEntries,
  RoomStores,
} from '@plenary/cluster';
import { Random } from '@plenary/cluster/testing/simulation/random';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import { describe, expect, it } from 'vitest';
import { planOf } from './plan.ts';
import type { Plan } from './plan.ts';
import { simulate } from './simulate.ts';
import type { SimulateOptions } from './simulate.ts';

/** How many suitable seeds are run before a broken part counts as not found. */
const SEEDS = 100;

/** A store in which some ports are broken. */
const storeWith = (brokenPorts: (rooms: MemoryRooms) => Partial<RoomStores>): SimulateOptions => ({
  storeParts: {
    ...SOUND_STORE,
    stores: (clock) => {
      const stores = new MemoryRoomStores(clock);
      return { ...stores, ...brokenPorts(stores.rooms) };
    },
  },
});

/** Gives a peer a new placement although it has a live one. */
class OverwritingPlacements extends MemoryPlacementStore {
  override async placePeer(request: PlaceRequest): Promise<Placement> {
    const live = await this.placementOf(request.roomId, request.peerId);
    return super.placePeer({ ...request, ...(live === undefined ? {} : { replacesEpoch: live.epoch }) });
  }
}

/** Reads whether there is a gateway, waits, and then sets one: not atomic. */
class NonAtomicGateways extends MemoryGatewayStore {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    super(rooms);
    this.#rooms = rooms;
  }

  override async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const key = `${claim.datacenter}|${claim.homeNodeId}`;
    const seen = this.#rooms.gateways(claim.roomId).get(key);
    if (seen !== undefined && seen.epoch !== claim.replacesEpoch) return seen;
    await new Promise((resolve) => setTimeout(resolve, 200));
    const replaced = this.#rooms.gateways(claim.roomId).get(key);
    return super.claimGateway({
      ...claim,
      ...(replaced === undefined ? {} : { replacesEpoch: replaced.epoch }),
    });
  }
}

/** Removes a peer regardless of the command's epoch. */
class EpochIgnoringLog extends MemoryRoomLog {
  readonly #placements: MemoryPlacementStore;

  constructor(rooms: MemoryRooms) {
    super(rooms);
    this.#placements = new MemoryPlacementStore(rooms);
  }

  override async removePeer(...command: Parameters<MemoryRoomLog['removePeer']>): Promise<LoggedEvent[]> {
    const [roomId, peerId, , reason, heldUnder] = command;
    const live = await this.#placements.placementOf(roomId, peerId);
    return super.removePeer(roomId, peerId, live?.epoch ?? EPOCH.parse(1), reason, heldUnder);
  }
}

/** Never completes a move. */
class EndlessMoves extends MemoryPlacementStore {
  override completeMove(): Promise<void> {
    return Promise.resolve();
  }
}

/** Rooms whose clock stands still. */
function withFrozenClock(rooms: MemoryRooms): MemoryRooms {
  return new Proxy(rooms, {
    get: (target, name): unknown => {
      if (name === 'nowUs') return () => 1_700_000_000_000_000;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function'
        ? (...given: unknown[]): unknown => Reflect.apply(member, target, given)
        : member;
    },
  });
}

/** Ignores the entries that edges republish. */
class RepublicationIgnoringEntries extends MemoryRoomEntries {
  override republish(): Promise<RepublishedEntries> {
    return Promise.resolve({ verdicts: [], events: [] });
  }
}

/** Assigns ports without checking their owner. */
class OwnerIgnoringRegistry extends MemoryRegistry {
  override claimPortSlice({ wanted }: PortSliceClaim): Promise<PortSliceResult> {
    if (!('range' in wanted)) return Promise.resolve({ refused: null, portSlice: wanted });
    const { firstPort } = wanted.range;
    return Promise.resolve({
      refused: null,
      portSlice: { firstPort, lastPort: firstPort + wanted.size - 1 },
    });
  }

  override announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    return super.announceMediaNode({ ...record, announcedAddress: `${record.mediaNodeId}.example` }, leaseMs);
  }
}

/** Runs suitable seeds until a rule breaks. @returns the first broken rule */
async function firstBrokenRule(options: SimulateOptions, shows: (plan: Plan) => boolean): Promise<string> {
  for (let seed = 1, run = 0; run < SEEDS; seed += 1) {
    if (!shows(planOf(new Random(seed)))) continue;
    run += 1;
    const { broken } = await simulate(seed, options);
    if (broken !== undefined) return broken.rule.message;
  }
  return 'nothing';
}

const always = (): boolean => true;
/** Plans in which two nodes of one datacenter may request the same remote track at once. */
const spans = ({ nodes, isStormy }: Plan): boolean =>
  nodes.length >= 4 && new Set(nodes.map(({ datacenter }) => datacenter)).size === 2 && !isStormy;
const drains = ({ faults }: Plan): boolean => faults.includes('node is drained');
const failsOver = ({ faults }: Plan): boolean => faults.includes('store fails over');

let published = 0;

const MUTATIONS: readonly [string, SimulateOptions, RegExp, (plan: Plan) => boolean][] = [
  [
    'a placement that overwrites the live one',
    storeWith((rooms) => ({ placements: new OverwritingPlacements(rooms) })),
    /^PL3/,
    always,
  ],
  [
    'a gateway claim that is not atomic',
    storeWith((rooms) => ({ gateways: new NonAtomicGateways(rooms) })),
    /^GW1/,
    spans,
  ],
  [
    'a removal that ignores its epoch',
    storeWith((rooms) => ({ roomLog: new EpochIgnoringLog(rooms) })),
    /^EP2/,
    always,
  ],
  [
    'a move that never completes',
    storeWith((rooms) => ({ placements: new EndlessMoves(rooms) })),
    /^EP7/,
    drains,
  ],
  [
    'epochs that count from one after a failover',
    storeWith((rooms) => ({ placements: new MemoryPlacementStore(withFrozenClock(rooms)) })),
    /^EP1/,
    failsOver,
  ],
  [
    'entries that are not republished',
    storeWith((rooms) => ({ entries: new RepublicationIgnoringEntries(rooms) })),
    /^RE24/,
    failsOver,
  ],
  [
    'ports that are assigned twice',
    {
      storeParts: { ...SOUND_STORE, registry: (clock) => new OwnerIgnoringRegistry(clock) },
      broken: { sharesPorts: true },
    },
    /^PS2/,
    always,
  ],
  [
    'a media node without the epoch fence',
    {
      broken: {
        request: (_name, payload, node) => {
          const placed = PLACED_PEER.loose().safeParse(payload);
          if (!placed.success) return payload;
          const hosted = node.hostedEpoch(placed.data.roomId, placed.data.peerId) ?? 0;
          return { ...placed.data, epoch: Math.max(hosted, placed.data.epoch) };
        },
      },
    },
    /^EP2/,
    always,
  ],
  [
    'a pipe that is never released',
    { broken: { request: (name, payload) => (/^pipe\.(release|close)$/.test(name) ? undefined : payload) } },
    /^(LG4|PI3)/,
    always,
  ],
  [
    'a demand that is not passed upstream',
    { broken: { request: (name, payload) => (name === 'pipe.demand' ? undefined : payload) } },
    /^PI3/,
    always,
  ],
  [
    'a repeated publication that is carried out twice',
    {
      broken: {
        request: (name, payload) => {
          if (name !== 'track.publish' || typeof payload !== 'object') return payload;
          published += 1;
          return { ...payload, requestId: `published-${published}` };
        },
      },
    },
    /^EP3/,
    always,
  ],
];

describe('the simulation finds', () => {
  it.each(MUTATIONS)('%s', { timeout: 600_000 }, async (_name, options, rule, shows) => {
    expect(await firstBrokenRule(options, shows)).toMatch(rule);
  });
});
