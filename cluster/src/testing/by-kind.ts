import type { ClusterStore } from '../redis/connect.ts';
import type { Registry } from '../registry/registry.ts';
import type { GatewayStore } from '../room/gateway-store.ts';
import type { RecoveryStore } from '../room/recovery-store.ts';
import type { RoomLog } from '../room/room-log.ts';
import type { RoomStores } from '../room/room-stores.ts';

/** What the contract of a store is about. */
export type StorePorts = Pick<ClusterStore, keyof RoomStores | 'registry' | 'tenants' | 'close'>;

/** What media nodes ask of the store; edges may ask some of it as well. */
const OF_MEDIA_NODES: ReadonlySet<string | symbol> = new Set<
  keyof Registry | keyof RoomLog | keyof RecoveryStore | keyof GatewayStore
>([
  'claimPortSlice',
  'announceMediaNode',
  'withdrawMediaNode',
  'liveMediaNodes',
  'liveEdges',
  'publishTrack',
  'setTrackPaused',
  'endTracks',
  'republishTracks',
  'tracks',
  'claimGateway',
  'releaseGateway',
]);

/** One store of two connections: what media nodes ask goes by theirs, the rest by the edge's. */
export function byKind(edge: StorePorts, mediaNode: StorePorts): StorePorts {
  return {
    registry: split(edge.registry, mediaNode.registry),
    placements: edge.placements,
    roomLog: split(edge.roomLog, mediaNode.roomLog),
    recovery: split(edge.recovery, mediaNode.recovery),
    gateways: mediaNode.gateways,
    entries: edge.entries,
    tenants: edge.tenants,
    close: async () => {
      await Promise.all([edge.close(), mediaNode.close()]);
    },
  };
}

function split<Port extends object>(edge: Port, mediaNode: Port): Port {
  return new Proxy(edge, {
    get: (_, name): unknown => {
      const port = OF_MEDIA_NODES.has(name) ? mediaNode : edge;
      const value: unknown = Reflect.get(port, name);
      // Its private fields are those of the port itself.
      return typeof value === 'function'
        ? (...args: unknown[]): unknown => Reflect.apply(value, port, args)
        : value;
    },
  });
}
