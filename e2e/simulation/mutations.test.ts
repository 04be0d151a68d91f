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

/** Seeds that are run at most until a broken part is found. */
const SEEDS = 100;

/** A store of which some ports are broken. */
const storeWith = (brokenPorts: (rooms: MemoryRooms) => Partial<RoomStores>): SimulateOptions => ({
  storeParts: {
    ...SOUND_STORE,
    stores: (clock) => {
      const stores = new MemoryRoomStores(clock);
      return { ...stores, ...brokenPorts(stores.rooms) };
    },
  },
});

/** Places a peer anew although it has a live placement. */
class OverwritingPlacements extends MemoryPlacementStore {
  override async placePeer(request: PlaceRequest): Promise<Placement> {
    const live = await this.placementOf(request.roomId, request.peerId);
    return super.placePeer({ ...request, ...(live === undefined ? {} : { replacesEpoch: live.epoch }) });
  }
}

/** Looks whether there is a gateway, waits, and then sets one. */
class HastyGateways extends MemoryGatewayStore {
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

/** Removes a peer whatever epoch the command was issued under. */
class ObedientLog extends MemoryRoomLog {
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

/** Takes a peer that has moved for one that still moves. */
class UnsettledPlacements extends MemoryPlacementStore {
  override completeMove(): Promise<void> {
    return Promise.resolve();
  }
}

/** Rooms whose clock stands still. */
function withoutTime(rooms: MemoryRooms): MemoryRooms {
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

/** Takes none of the entries that an edge gives back. */
class ForgottenEntries extends MemoryRoomEntries {
  override republish(): Promise<RepublishedEntries> {
    return Promise.resolve({ verdicts: [], events: [] });
  }
}

/** Gives ports away without looking whose they are. */
class GenerousRegistry extends MemoryRegistry {
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

/** The first rule that breaks in seeds that can show it. */
async function find(options: SimulateOptions, shows: (plan: Plan) => boolean): Promise<string> {
  for (let seed = 1, run = 0; run < SEEDS; seed += 1) {
    if (!shows(planOf(new Random(seed)))) continue;
    run += 1;
    const { broken } = await simulate(seed, options);
    if (broken !== undefined) return broken.rule.message;
  }
  return 'nothing';
}

const always = (): boolean => true;
/** Two nodes of a datacenter may want one track of another at the same moment. */
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
    storeWith((rooms) => ({ gateways: new HastyGateways(rooms) })),
    /^GW1/,
    spans,
  ],
  [
    'a removal that does not look at its epoch',
    storeWith((rooms) => ({ roomLog: new ObedientLog(rooms) })),
    /^EP2/,
    always,
  ],
  [
    'a move that never ends',
    storeWith((rooms) => ({ placements: new UnsettledPlacements(rooms) })),
    /^EP7/,
    drains,
  ],
  [
    'epochs that count from one after a failover',
    storeWith((rooms) => ({ placements: new MemoryPlacementStore(withoutTime(rooms)) })),
    /^EP1/,
    failsOver,
  ],
  [
    'entries that are not published again',
    storeWith((rooms) => ({ entries: new ForgottenEntries(rooms) })),
    /^RE24/,
    failsOver,
  ],
  [
    'ports that are given away twice',
    {
      storeParts: { ...SOUND_STORE, registry: (clock) => new GenerousRegistry(clock) },
      broken: { sharesPorts: true },
    },
    /^PS2/,
    always,
  ],
  [
    'a media node without the check of epochs',
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
    'a pipe whose release is forgotten',
    { broken: { request: (name, payload) => (/^pipe\.(release|close)$/.test(name) ? undefined : payload) } },
    /^(LG4|PI3)/,
    always,
  ],
  [
    'a demand that does not travel up',
    { broken: { request: (name, payload) => (name === 'pipe.demand' ? undefined : payload) } },
    /^PI3/,
    always,
  ],
  [
    'a doubled publication that is obeyed twice',
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
    expect(await find(options, shows)).toMatch(rule);
  });
});
