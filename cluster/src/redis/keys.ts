/**
 * Every key that the cluster keeps in Redis: what it holds, who writes it, and when it goes; and every channel. None is
 * spelled anywhere else. All keys of one room share one hash tag, and so do those of one tenant and of the registry, so that
 * each script touches one slot of a Redis Cluster (SPEC ST1).
 */
import type { Namespace } from '../namespace.ts';
import type { RoomId, TenantId } from '../protocol/ids.ts';

/**
 * The keys of a room. All go when the last peer goes (LG4), and by themselves when no edge has kept them for ten minutes
 * (RC6).
 */
export interface RoomKeys {
  /** Hash, peer id → `epoch|mediaNodeId|edgeId|requestId|holdEpoch`. Written by edges. */
  readonly placements: string;
  /** Hash, peer id → `sequence|joinedAtMs|role|displayName`. Written by edges. */
  readonly roster: string;
  /** Sorted set, peer id by sequence of joining: the pages of the roster. Written by edges. */
  readonly rosterOrder: string;
  /** Hash, track id → `epoch|homeNodeId|peerId|kind|source|paused`, and `|replaces` after it where there is such a track. Written by media nodes. */
  readonly tracks: string;
  /** Stream of `previousId`, `event`: the room's last events. */
  readonly log: string;
  /** List of messages as JSON, the newest last. */
  readonly chat: string;
  /** Hash, `kind|peerId|name` → `version|value as JSON`; without a value it was deleted. Written by edges. */
  readonly entries: string;
  /**
   * Hash: `lastEventId`, `lastEpoch`, `joinSequence`; after a loss `rebuildingUntilMs` by Redis TIME, and
   * `rebuiltEventId`, which the order went on above; `token|peerId` → which generation of the peer's session tokens is
   * in use; `subject|digest` → peer ids of one person, joined by commas, and `subject-of|peerId` → whose it is; `previous|peerId` → `epoch|mediaNodeId`, where a peer that is being moved goes on until it has moved;
   * `tracks|peerId` → its track ids, joined by commas; `entries` → what all entries are together (`lua/includes/entry-state.lua`),
   * and `entries|peerId` → the fields of a peer's entries, joined by commas; `gone|peer|peerId` and `gone|track|trackId` → when that left or ended, in
   * milliseconds of Redis TIME, with their number in `tombstones`; and
   * `gateway|datacenter|homeNodeId` → `epoch|mediaNodeId`, which media nodes write.
   */
  readonly meta: string;
}

function roomKeys(namespace: Namespace, roomId: RoomId): RoomKeys {
  const key = (part: string): string => `${namespace}:{room:${roomId}}:${part}`;
  return {
    placements: key('placements'),
    roster: key('roster'),
    rosterOrder: key('roster-order'),
    tracks: key('tracks'),
    log: key('log'),
    chat: key('chat'),
    entries: key('entries'),
    meta: key('meta'),
  };
}

/** The keys of a tenant. Both expire with the last lease of a claim. */
export interface TenantKeys {
  /** Sorted set, `roomId|peerId` by the end of its lease in milliseconds of Redis TIME. Written by edges. */
  readonly claims: string;
  /** Hash, room id → number of claims in it. Written by edges. */
  readonly rooms: string;
}

function tenantKeys(namespace: Namespace, tenantId: TenantId): TenantKeys {
  const key = (part: string): string => `${namespace}:{tenant:${tenantId}}:${part}`;
  return { claims: key('claims'), rooms: key('rooms') };
}

/** The keys and channels of one cluster: all begin with its namespace, so that two clusters may share a Redis (SPEC NS1). */
export interface StoreKeys {
  readonly room: (roomId: RoomId) => RoomKeys;
  readonly tenant: (tenantId: TenantId) => TenantKeys;
  /**
   * String, up to when tokens were issued that are not taken any more, in milliseconds of Redis TIME: of the tenant, or of a
   * room, a person (by digest), or a person in a room. Written by edges; goes by itself when no such token can be valid any more.
   */
  readonly revocation: (tenantId: TenantId, roomId: RoomId | undefined, person: string | undefined) => string;
  /** String, likewise: up to when sessions began that are over. Written and gone with {@link revocation}, by those that end sessions. */
  readonly ending: StoreKeys['revocation'];
  /** Of the keys of all rooms, as `KEYS` takes it. */
  readonly anyRoom: string;
  /** Hash, media node id → `leaseUntilMs|incarnation|record as JSON`. Written by media nodes; lapsed ones go with the next announcement. */
  readonly mediaNodes: string;
  /** Hash, edge id → `leaseUntilMs|incarnation|record as JSON`. Written by edges; lapsed ones go with the next announcement. */
  readonly edges: string;
  /**
   * Hash, `firstPort|lastPort|announcedAddress|announcedIpv6` → `leaseUntilMs|incarnation|mediaNodeId`: the slices that are
   * held or rest. Written by media nodes; what has rested goes with the next claim or announcement.
   */
  readonly portSlices: string;
  /** Never there for longer than a script runs: what the watch of the store writes. @param tag - chooses the slot */
  readonly probe: (tag: number) => string;
}

export function keysOf(namespace: Namespace): StoreKeys {
  const scopeKey =
    (part: string): StoreKeys['revocation'] =>
    (tenantId, roomId, person) => {
      const ofRoom = roomId === undefined ? [] : [`room:${roomId}`];
      const ofPerson = person === undefined ? [] : [`person:${person}`];
      return `${namespace}:{tenant:${tenantId}}:${[part, ...ofRoom, ...ofPerson].join(':')}`;
    };
  const ofRegistry = (part: string): string => `${namespace}:{registry}:${part}`;
  return {
    room: (roomId) => roomKeys(namespace, roomId),
    tenant: (tenantId) => tenantKeys(namespace, tenantId),
    revocation: scopeKey('revoked'),
    ending: scopeKey('ended'),
    anyRoom: `${namespace}:{room:*`,
    mediaNodes: ofRegistry('media-nodes'),
    edges: ofRegistry('edges'),
    portSlices: ofRegistry('port-slices'),
    probe: (tag) => `${namespace}:{probe-${tag}}:written`,
  };
}

/**
 * What the channels of the Socket.IO adapter begin with. Pub/sub knows no databases: where one is chosen by its number, the
 * number is in the name, so that clusters of one namespace in two databases hear each other no more than they see each
 * other's keys (SPEC NS2).
 */
export function channelPrefixOf(namespace: Namespace, database: number): string {
  return database === 0 ? `${namespace}:socket.io` : `${namespace}:db${database}:socket.io`;
}
