/**
 * Every key and channel of the cluster in Redis: its content, its writer and its lifetime. No other file spells one.
 * All keys of a room share one hash tag, and so do those of a tenant and of the registry, so that each script touches
 * one slot of a Redis Cluster (SPEC ST1).
 */
import type { Namespace } from '../namespace.ts';
import type { RoomId, TenantId } from '../protocol/ids.ts';

/**
 * The keys of a room. They are removed with the last peer (LG4), and expire when no edge has renewed them for ten
 * minutes (RC6).
 */
export interface RoomKeys {
  /** Hash, peer id → `epoch|mediaNodeId|edgeId|requestId|holdEpoch`. Written by edges. */
  readonly placements: string;
  /** Hash, peer id → `sequence|joinedAtMs|role|displayName`. Written by edges. */
  readonly roster: string;
  /** Sorted set, peer id by sequence of joining: the pages of the roster. Written by edges. */
  readonly rosterOrder: string;
  /**
   * Hash, track id → `epoch|homeNodeId|peerId|kind|source|paused`, followed by `|replaces` if it replaces a track.
   * Written by media nodes.
   */
  readonly tracks: string;
  /** Stream of `previousId`, `event`: the room's last events. */
  readonly log: string;
  /** List of messages as JSON, the newest last. */
  readonly chat: string;
  /** Hash, `kind|peerId|name` → `version|value as JSON`; without a value it is deleted. Written by edges. */
  readonly entries: string;
  /**
   * Hash: `lastEventId`, `lastEpoch`, `joinSequence`. After a loss: `rebuildingUntilMs` by Redis TIME, and
   * `rebuiltEventId`, the id that the rebuild continued from. `token|peerId` → generation of the peer's session tokens
   * in use. `subject|digest` → peer ids of one person, joined by commas; `subject-of|peerId` → that digest.
   * `previous|peerId` → `epoch|mediaNodeId`, the previous placement of a moving peer. `tracks|peerId` → its track ids,
   * joined by commas. `entries` → the counts of all entries (`lua/includes/entry-state.lua`); `entries|peerId` → the
   * fields of a peer's entries, joined by commas. `gone|peer|peerId` and `gone|track|trackId` → tombstones with their
   * time in milliseconds of Redis TIME, and their number in `tombstones`. `gateway|datacenter|homeNodeId` →
   * `epoch|mediaNodeId`, which media nodes write.
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
   * String: tokens issued before this time, in milliseconds of Redis TIME, are revoked. For the tenant, or for a room,
   * a person (by digest), or a person in a room. Written by edges; expires when no such token can be valid any more.
   */
  readonly revocation: (tenantId: TenantId, roomId: RoomId | undefined, person: string | undefined) => string;
  /**
   * String: sessions begun before this time are ended. Written and expires with {@link revocation}, by revocations that
   * end sessions.
   */
  readonly ending: StoreKeys['revocation'];
  /** The pattern of all rooms' keys, for `KEYS`. */
  readonly anyRoom: string;
  /**
   * Hash, media node id → `leaseUntilMs|incarnation|record as JSON`. Written by media nodes; the next announcement
   * removes lapsed ones.
   */
  readonly mediaNodes: string;
  /**
   * Hash, edge id → `leaseUntilMs|incarnation|record as JSON`. Written by edges; the next announcement removes lapsed
   * ones.
   */
  readonly edges: string;
  /**
   * Hash, `firstPort|lastPort|announcedAddress|announcedIpv6` → `leaseUntilMs|incarnation|mediaNodeId`: the slices that
   * are held or rest. Written by media nodes; the next claim or announcement removes those that have rested.
   */
  readonly portSlices: string;
  /** The probe of the store's watch; a script writes and removes it. @param tag - chooses the slot */
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
 * The prefix of the Socket.IO adapter's channels. Pub/sub ignores databases: if one is chosen by its number, the prefix
 * has that number, so that clusters of one namespace in two databases do not hear each other (SPEC NS2).
 */
export function channelPrefixOf(namespace: Namespace, database: number): string {
  return database === 0 ? `${namespace}:socket.io` : `${namespace}:db${database}:socket.io`;
}
