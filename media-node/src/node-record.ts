import { CONTROL_VERSION } from '@plenary/cluster';
import type { Clock, Incarnation, MediaNodeRecord, PortSlice } from '@plenary/cluster';
import type { NodeAdmission } from './node-admission.ts';
import type { MediaNodeConfig } from './config.ts';
import type { LoadMeter } from './load-meter.ts';
import { announcedAddresses } from './media-address.ts';
import type { AddressReachability } from './room/address-reachability.ts';
import type { Rooms } from './room/rooms.ts';

/** The sources of a node's registry record: its settings and its parts. */
export interface RecordSources {
  readonly config: Pick<
    MediaNodeConfig,
    'mediaNodeId' | 'datacenter' | 'controlUrl' | 'operators' | 'addresses' | 'maxPeers'
  >;
  readonly incarnation: Incarnation;
  readonly portSlice: PortSlice;
  readonly admission: Pick<NodeAdmission, 'isStopping' | 'isDraining'>;
  readonly load: Pick<LoadMeter, 'load'>;
  readonly rooms: Pick<Rooms, 'peerCount' | 'recentJoins'>;
  readonly reach: Pick<AddressReachability, 'isUnreached' | 'isSurelyUnreached'>;
  readonly clock: Pick<Clock, 'wallMs'>;
}

/** Builds the current registry record of this node. Edges place peers by it, and other nodes find the node by it. */
export function recordOf(sources: RecordSources): MediaNodeRecord {
  const { config, incarnation, portSlice, admission, load, rooms, reach, clock } = sources;
  const { mediaNodeId, datacenter, controlUrl, operators, addresses, maxPeers } = config;
  return {
    mediaNodeId,
    incarnation,
    datacenter,
    controlVersion: CONTROL_VERSION,
    controlUrl,
    ...(operators.url === undefined ? {} : { operatorUrl: operators.url }),
    ...announcedAddresses(addresses),
    portSlice,
    state: admission.isStopping || admission.isDraining ? 'draining' : 'serving',
    load: load.load,
    peerCount: rooms.peerCount,
    maxPeers,
    recentJoins: rooms.recentJoins,
    isUnreached: reach.isUnreached,
    isSurelyUnreached: reach.isSurelyUnreached,
    reportedAtMs: clock.wallMs(),
  };
}
