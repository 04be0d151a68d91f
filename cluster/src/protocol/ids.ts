/**
 * The branded ids of the cluster and the schemas that parse them. Nothing here needs Node, so that the web client
 * can share them. An id enters a process only through one of these schemas (SPEC ID1).
 */
import { z } from 'zod';
import { patternText, plainId } from './text.ts';

/**
 * Names a room within its tenant. People choose it, so it contains only characters that fit into a link. Clients know
 * no other name.
 */
export const ROOM_NAME = plainId(64).brand('RoomName');
/**
 * Names a room within the cluster, as `tenant/name`: rooms of two tenants with the same name are two rooms (SPEC
 * TN1). {@link roomIdOf} makes it from the claims of a token; no part can contain the slash.
 */
export const ROOM_ID = patternText(
  /^[A-Za-z0-9_-]{1,64}\/[A-Za-z0-9_-]{1,64}$/,
  129,
  'must be a tenant and a room name such as acme/standup',
).brand('RoomId');
/** Names one peer of one room; the edge that admits the peer mints it. */
export const PEER_ID = plainId(32).brand('PeerId');
/** Names a track: the id of the mediasoup producer on the track's home node, and of its copies behind pipes. */
export const TRACK_ID = plainId(64).brand('TrackId');
/** Names a mediasoup consumer. */
export const CONSUMER_ID = plainId(64).brand('ConsumerId');
/** Names a mediasoup WebRtcTransport. */
export const TRANSPORT_ID = plainId(64).brand('TransportId');
/** Names a mediasoup router. */
export const ROUTER_ID = plainId(64).brand('RouterId');
/** Names a media node as long as it is configured, over all its runs. */
export const MEDIA_NODE_ID = plainId(64).brand('MediaNodeId');
/** Names an edge as long as it is configured, over all its runs. */
export const EDGE_ID = plainId(64).brand('EdgeId');
/** Names a datacenter, in Consul's spelling. */
export const DATACENTER_ID = plainId(32).brand('DatacenterId');
/** Names a tenant: the API key that signs its join tokens. */
export const TENANT_ID = plainId(64).brand('TenantId');
/** Names a request. The client chooses it; a request that arrives twice with one id is carried out once. */
export const REQUEST_ID = plainId(64).brand('RequestId');
/** Names one run of a process: a process that restarts under the same id has another incarnation. */
export const INCARNATION = z.uuid().brand('Incarnation');
/**
 * A Redis stream id (`<ms>-<n>`), which orders the events of one room. `0-0` is before the first event. Nineteen
 * digits always fit into Redis' 64 bits, and no clock needs twenty.
 */
export const EVENT_ID = patternText(
  /^\d{1,19}-\d{1,19}$/,
  39,
  'must be a stream id such as 1700000000000-0',
).brand('EventId');

export type RoomName = z.infer<typeof ROOM_NAME>;
export type RoomId = z.infer<typeof ROOM_ID>;
export type PeerId = z.infer<typeof PEER_ID>;
export type TrackId = z.infer<typeof TRACK_ID>;
export type ConsumerId = z.infer<typeof CONSUMER_ID>;
export type TransportId = z.infer<typeof TRANSPORT_ID>;
export type RouterId = z.infer<typeof ROUTER_ID>;
export type MediaNodeId = z.infer<typeof MEDIA_NODE_ID>;
export type EdgeId = z.infer<typeof EDGE_ID>;
export type DatacenterId = z.infer<typeof DATACENTER_ID>;
export type TenantId = z.infer<typeof TENANT_ID>;
export type RequestId = z.infer<typeof REQUEST_ID>;
export type Incarnation = z.infer<typeof INCARNATION>;
export type EventId = z.infer<typeof EVENT_ID>;

/** The room that a token opens: the room of that name of the token's tenant (SPEC TN1). */
export function roomIdOf(tenantId: TenantId, roomName: RoomName): RoomId {
  return ROOM_ID.parse(`${tenantId}/${roomName}`);
}

/** The tenant of a room. */
export function tenantOf(roomId: RoomId): TenantId {
  return TENANT_ID.parse(roomId.slice(0, roomId.indexOf('/')));
}

/** The name of a room for the people in it: its id without the tenant, which clients must not know (SPEC TN3). */
export function roomNameOf(roomId: RoomId): RoomName {
  return ROOM_NAME.parse(roomId.slice(roomId.indexOf('/') + 1));
}

/** Orders two event ids as Redis does: by milliseconds, then by number. Negative if `left` is older. */
export function compareEventIds(left: EventId, right: EventId): number {
  const [leftMs = '0', leftSequence = '0'] = left.split('-');
  const [rightMs = '0', rightSequence = '0'] = right.split('-');
  const byTime = BigInt(leftMs) - BigInt(rightMs);
  const difference = byTime === 0n ? BigInt(leftSequence) - BigInt(rightSequence) : byTime;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The highest epoch that scripts can read, since numbers in scripts are doubles: in µs, the year 2255. */
export const HIGHEST_EPOCH = 9_007_199_254_740_000;
/**
 * Names one placement of a peer: at least the microseconds of Redis TIME, and growing with each placement. It fits into the
 * 53 bits of a double until the year 2255.
 */
export const EPOCH = z.int().min(1).max(HIGHEST_EPOCH).brand('Epoch');
export type Epoch = z.infer<typeof EPOCH>;
