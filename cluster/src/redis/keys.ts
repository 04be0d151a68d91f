/**
 * Every key that the cluster keeps in Redis: what it holds, who writes it, and when it goes. No key is spelled anywhere
 * else. All keys of one room share one hash tag, and so do those of one tenant and of the registry, so that each script
 * touches one slot of a Redis Cluster (SPEC ST1).
 */
import type { RoomId, TenantId } from '../protocol/ids.ts';

/** Everything of ours begins with this, so that an operator can tell it from other users of the same Redis. */
export const KEY_PREFIX = 'plenary:';

/**
 * The keys of a room, in the order in which every room script takes them. All go when the last peer goes (LG4), and by
 * themselves when no edge has kept them for ten minutes (RC6).
 */
export type RoomKeys = readonly [
  placements: string,
  roster: string,
  rosterOrder: string,
  tracks: string,
  log: string,
  chat: string,
  meta: string,
];

export function roomKeys(roomId: RoomId): RoomKeys {
  const key = (part: string): string => `${KEY_PREFIX}{room:${roomId}}:${part}`;
  return [
    /** Hash, peer id → `epoch|mediaNodeId|edgeId|requestId|holdEpoch`. Written by edges. */
    key('placements'),
    /** Hash, peer id → `sequence|joinedAtMs|role|displayName`. Written by edges. */
    key('roster'),
    /** Sorted set, peer id by sequence of joining: the pages of the roster. Written by edges. */
    key('roster-order'),
    /** Hash, track id → `epoch|homeNodeId|peerId|kind|source|paused`, and `|replaces` after it where there is such a track. Written by media nodes. */
    key('tracks'),
    /** Stream of `previousId`, `event`: the room's last events. */
    key('log'),
    /** List of messages as JSON, the newest last. */
    key('chat'),
    /**
     * Hash: `lastEventId`, `lastEpoch`, `joinSequence`; after a loss `rebuildingUntilMs` by Redis TIME, and
     * `rebuiltEventId`, which the order went on above; `token|peerId` → which generation of the peer's session tokens is
     * in use; `former|peerId` → `epoch|mediaNodeId`, where a peer that is being moved goes on until it has moved; and
     * `gateway|datacenter|homeNodeId` → `epoch|mediaNodeId`, which media nodes write.
     */
    key('meta'),
  ];
}

/** The keys of a tenant, in the order in which its scripts take them. Both expire with the last lease of a claim. */
export function tenantKeys(tenantId: TenantId): readonly [claims: string, rooms: string] {
  const key = (part: string): string => `${KEY_PREFIX}{tenant:${tenantId}}:${part}`;
  return [
    /** Sorted set, `roomId|peerId` by the end of its lease in milliseconds of Redis TIME. Written by edges. */
    key('claims'),
    /** Hash, room id → number of claims in it. Written by edges. */
    key('rooms'),
  ];
}

/** Hash, media node id → `leaseUntilMs|incarnation|record as JSON`. Written by media nodes; lapsed ones go with the next announcement. */
export const MEDIA_NODES_KEY = `${KEY_PREFIX}{registry}:media-nodes`;
/** Hash, edge id → `leaseUntilMs|incarnation|record as JSON`. Written by edges; lapsed ones go with the next announcement. */
export const EDGES_KEY = `${KEY_PREFIX}{registry}:edges`;
/**
 * Hash, `firstPort|lastPort|announcedAddress|announcedIpv6` → `leaseUntilMs|incarnation|mediaNodeId`: the slices that are
 * held or rest. Written by media nodes; what has rested goes with the next claim or announcement.
 */
export const PORT_SLICES_KEY = `${KEY_PREFIX}{registry}:port-slices`;
