import { EPOCH, MemoryRegistry, MemoryRoomStore, PLACED_PEER } from '@plenary/cluster';
import type {
  AnnounceResult,
  Gateway,
  GatewayClaim,
  LoggedEvent,
  MediaNodeRecord,
  Placement,
  PlaceRequest,
  PortSliceClaim,
  PortSliceResult,
} from '@plenary/cluster';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.ts';
import type { SimulateOptions } from './simulate.ts';

/** Seeds that are run at most until a broken part is found. */
const SEEDS = 60;

/** Places a peer anew although it has a live placement. */
class OverwritingStore extends MemoryRoomStore {
  override async placePeer(request: PlaceRequest): Promise<Placement> {
    const live = await this.placementOf(request.roomId, request.peerId);
    return super.placePeer({ ...request, ...(live === undefined ? {} : { replacesEpoch: live.epoch }) });
  }
}

/** Looks whether there is a gateway, waits, and then sets one. */
class HastyGatewayStore extends MemoryRoomStore {
  override async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const key = `${claim.datacenter}|${claim.homeNodeId}`;
    const seen = this.gateways(claim.roomId).get(key);
    if (seen !== undefined && seen.epoch !== claim.replacesEpoch) return seen;
    await new Promise((resolve) => setTimeout(resolve, 20));
    const replaced = this.gateways(claim.roomId).get(key);
    return super.claimGateway({
      ...claim,
      ...(replaced === undefined ? {} : { replacesEpoch: replaced.epoch }),
    });
  }
}

/** Removes a peer whatever epoch the command was issued under. */
class ObedientStore extends MemoryRoomStore {
  override async removePeer(...command: Parameters<MemoryRoomStore['removePeer']>): Promise<LoggedEvent[]> {
    const [roomId, peerId, , reason, heldBy] = command;
    const live = await this.placementOf(roomId, peerId);
    return super.removePeer(roomId, peerId, live?.epoch ?? EPOCH.parse(1), reason, heldBy);
  }
}

/** Gives ports away without looking whose they are. */
class GenerousRegistry extends MemoryRegistry {
  override claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult> {
    this.clear();
    return super.claimPortSlice(claim, leaseMs);
  }

  override announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    this.clear();
    return super.announceMediaNode(record, leaseMs);
  }
}

/** The first rule that breaks, and how many seeds it took. */
async function find(options: SimulateOptions): Promise<string> {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { broken } = await simulate(seed, options);
    if (broken !== undefined) return broken.rule.message;
  }
  return 'nothing';
}

let published = 0;

const MUTATIONS: readonly [string, SimulateOptions, RegExp][] = [
  [
    'a placement that overwrites the live one',
    { storeParts: { ...SOUND_STORE, rooms: (clock) => new OverwritingStore(clock) } },
    /^PL3/,
  ],
  [
    'a gateway claim that is not atomic',
    { storeParts: { ...SOUND_STORE, rooms: (clock) => new HastyGatewayStore(clock) } },
    /^GW1/,
  ],
  [
    'a removal that does not look at its epoch',
    { storeParts: { ...SOUND_STORE, rooms: (clock) => new ObedientStore(clock) } },
    /^EP2/,
  ],
  [
    'epochs that count from one after a failover',
    {
      storeParts: {
        ...SOUND_STORE,
        rooms: (clock) => new MemoryRoomStore({ ...clock, wallMs: () => 1_700_000_000_000 }),
      },
    },
    /^EP1/,
  ],
  [
    'ports that are given away twice',
    {
      storeParts: { ...SOUND_STORE, registry: (clock) => new GenerousRegistry(clock) },
      broken: { sharesPorts: true },
    },
    /^PS2/,
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
  ],
  [
    'a pipe whose release is forgotten',
    { broken: { request: (name, payload) => (/^pipe\.(release|close)$/.test(name) ? undefined : payload) } },
    /^(LG4|PI3)/,
  ],
  [
    'a demand that does not travel up',
    { broken: { request: (name, payload) => (name === 'pipe.demand' ? undefined : payload) } },
    /^PI3/,
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
  ],
];

describe('the simulation finds', () => {
  it.each(MUTATIONS)('%s', { timeout: 60_000 }, async (_name, options, rule) => {
    expect(await find(options)).toMatch(rule);
  });
});
