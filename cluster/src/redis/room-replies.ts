/** How the room scripts' replies read: the only place where Redis' flat values become records. */
import { z } from 'zod';
import { ERROR_CODES, PlenaryError } from '../errors.ts';
import { CARRIED_EVENT, CHAT_MESSAGE, LOGGED_EVENT, ROSTER_PEER } from '../protocol/room.ts';
import type { CarriedEvent, LoggedEvent, RoomSnapshot, RosterPeer } from '../protocol/room.ts';
import { PREVIOUS_PLACEMENT, PLACEMENT } from '../room/placement-store.ts';
import { GATEWAY } from '../room/gateway-store.ts';
import { PEER_VERDICT, ROOM_STANDING, TRACK_VERDICT } from '../room/recovery-store.ts';
import { ENTRY_VERDICT } from '../room/room-entries.ts';
import type { EntryChangeResult, EntryState, RepublishedEntries } from '../room/room-entries.ts';
import { STORED_TRACK } from '../room/room-log.ts';
import type { AttachedPeer, PreviousPlacement, Placement } from '../room/placement-store.ts';
import type { Gateway } from '../room/gateway-store.ts';
import type { HeldPeer, RepublishedPeers, RepublishedTracks, RoomStanding } from '../room/recovery-store.ts';
import type { StoredTrack } from '../room/room-log.ts';
import type { TrackId } from '../protocol/ids.ts';
import { ENTRY_CHANGE, ROOM_ENTRY, parseEntryField } from '../protocol/room-entry.ts';
import type { EntryChange } from '../protocol/room-entry.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import { readable, readableOnes } from './malformed.ts';
import type { ReportMalformed } from './malformed.ts';

const EVENT_REPLY = z.tuple([OPAQUE_TEXT, OPAQUE_TEXT, OPAQUE_TEXT]);
const SEQUENCE = z.int().min(0);
const EVENTS_REPLY = z.array(EVENT_REPLY);
/** An event, or an empty list where nothing happened. */
const MAYBE_EVENT_REPLY = z.union([EVENT_REPLY, z.tuple([])]);
const SNAPSHOT_REPLY = z.tuple([
  OPAQUE_TEXT,
  z.number(),
  z.array(OPAQUE_TEXT),
  z.array(OPAQUE_TEXT),
  z.array(OPAQUE_TEXT),
  z.array(OPAQUE_TEXT),
]);
const REFUSED = z.tuple([z.literal('refused'), z.enum(ERROR_CODES)]);
const PLACE_REPLY = z.tuple([z.literal('placed'), OPAQUE_TEXT]);
const CLAIM_REPLY = z.tuple([z.literal('claimed'), OPAQUE_TEXT]);
const JOIN_REPLY = z.tuple([
  z.literal('joined'),
  OPAQUE_TEXT,
  MAYBE_EVENT_REPLY,
  SNAPSHOT_REPLY,
  z.int().min(0),
]);
const ATTACH_REPLY = z.tuple([z.literal('attached'), OPAQUE_TEXT, OPAQUE_TEXT, OPAQUE_TEXT, z.int()]);
const PEERS_REPLY = z.tuple([
  OPAQUE_TEXT,
  z.int(),
  z.int(),
  z.int(),
  z.array(OPAQUE_TEXT),
  z.array(OPAQUE_TEXT),
  z.int().min(0),
  z.int().min(0),
  z.int().min(0),
]);
const TRACKS_REPLY = z.tuple([z.int(), EVENTS_REPLY, z.array(OPAQUE_TEXT), z.array(OPAQUE_TEXT)]);
const PUBLISH_REPLY = z.tuple([z.literal('published'), EVENTS_REPLY]);
const CHAT_REPLY = z.tuple([z.literal('posted'), OPAQUE_TEXT, MAYBE_EVENT_REPLY]);
const EVENTS_AFTER_REPLY = z.union([
  z.tuple([z.literal('events'), EVENTS_REPLY]),
  z.tuple([z.literal('missed')]),
]);
const ROOM_REPLY = z.union([
  z.tuple([z.literal('room'), SNAPSHOT_REPLY]),
  z.tuple([z.literal('rebuilding')]),
]);

/** Parses what a script answered with. @throws PlenaryError the code that it refused with */
function accepted<Reply extends z.ZodType>(schema: Reply, reply: unknown): z.output<Reply> {
  const refused = REFUSED.safeParse(reply);
  if (refused.success) throw new PlenaryError(refused.data[1]);
  return schema.parse(reply);
}

export const readPlaced = (peerId: string, reply: unknown): Placement =>
  readPlacement(peerId, accepted(PLACE_REPLY, reply)[1]);

/** `epoch|mediaNodeId|edgeId|requestId|holdEpoch`, see keys.ts. */
export function readPlacement(peerId: string, value: string): Placement {
  const [epoch, mediaNodeId, edgeId, requestId, holdEpoch = epoch] = value.split('|');
  return PLACEMENT.parse({
    peerId,
    epoch: Number(epoch),
    mediaNodeId,
    edgeId,
    requestId,
    holdEpoch: Number(holdEpoch),
  });
}

/** A track's record, see keys.ts. */
export function trackValue(track: StoredTrack): string {
  const { epoch, homeNodeId, peerId, kind, source, paused, replaces } = track;
  const parts = [epoch, homeNodeId, peerId, kind, source, paused ? '1' : '0'];
  return [...parts, ...(replaces === undefined ? [] : [replaces])].join('|');
}

/** `epoch|mediaNodeId`, see keys.ts; what is malformed is reported and taken for nothing. */
export function readPrevious(value: string, report: ReportMalformed): PreviousPlacement | undefined {
  const [epoch, mediaNodeId] = value.split('|');
  return readable(report, 'placement', () => PREVIOUS_PLACEMENT.parse({ epoch: Number(epoch), mediaNodeId }));
}

/** `epoch|homeNodeId|peerId|kind|source|paused|replaces`, see keys.ts. */
export function readTrack(trackId: string, value: string): StoredTrack {
  const [epoch, homeNodeId, peerId, kind, source, paused, replaces] = value.split('|');
  return STORED_TRACK.parse({
    trackId,
    epoch: Number(epoch),
    homeNodeId,
    peerId,
    kind,
    source,
    paused: paused === '1',
    replaces,
  });
}

/** `sequence|joinedAtMs|role|displayName`, see keys.ts. */
export function readRosterPeer(peerId: string, value: string): RosterPeer {
  const match = /^\d+\|(\d+)\|([a-z]+)\|(.*)$/su.exec(value);
  return ROSTER_PEER.parse({
    peerId,
    joinedAtMs: Number(match?.[1]),
    role: match?.[2],
    displayName: match?.[3],
  });
}

function readEvent([id, previousId, event]: z.infer<typeof EVENT_REPLY>): LoggedEvent {
  const parsed: unknown = JSON.parse(event);
  return LOGGED_EVENT.parse({ id, previousId, event: parsed });
}

/** Also one of a later release (SPEC PR18). */
function readCarriedEvent([id, previousId, event]: z.infer<typeof EVENT_REPLY>): CarriedEvent {
  const parsed: unknown = JSON.parse(event);
  return CARRIED_EVENT.parse({ id, previousId, event: parsed });
}

export const readEvents = (reply: unknown): LoggedEvent[] => EVENTS_REPLY.parse(reply).map(readEvent);

const readMaybeEvent = (reply: z.infer<typeof MAYBE_EVENT_REPLY>): LoggedEvent[] =>
  reply.length === 3 ? [readEvent(reply)] : [];

/** Pairs of a flat list, as HGETALL gives them. */
export function pairs(flat: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    found.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return found;
}

/** One roster entry with its place in the order. */
export interface RosterEntry {
  readonly peerId: string;
  readonly sequence: string;
  readonly value: string;
}

/** A page of the roster, without the entries that cannot be read; `hasMore` tells of entries after the last one. */
export function readPage(entries: readonly RosterEntry[], hasMore: boolean, report: ReportMalformed) {
  const last = entries.at(-1);
  return {
    peers: readableOnes(report, 'roster', entries, ({ peerId, value }) => readRosterPeer(peerId, value)),
    ...(last !== undefined && hasMore ? { nextCursor: last.sequence } : {}),
  };
}

/** `version|value as JSON`, see keys.ts. */
function readEntry(field: string, value: string): EntryChange {
  const bar = value.indexOf('|');
  const json = value.slice(bar + 1);
  const parsed: unknown = json === '' ? undefined : JSON.parse(json);
  return ENTRY_CHANGE.parse({
    ...parseEntryField(field),
    version: Number(value.slice(0, Math.max(0, bar)) || Number.NaN),
    ...(parsed === undefined ? {} : { value: parsed }),
  });
}

/** Entries as HGETALL gives them, without those that cannot be read. */
export function readEntries(flat: readonly string[], report: ReportMalformed): EntryChange[] {
  return readableOnes(report, 'entry', pairs(flat), ([field, value]) => readEntry(field, value));
}

export function readTracks(
  values: readonly (readonly [trackId: string, value: string])[],
  report: ReportMalformed,
): StoredTrack[] {
  return readableOnes(report, 'track', values, ([trackId, value]) => readTrack(trackId, value));
}

function readSnapshot(reply: z.infer<typeof SNAPSHOT_REPLY>, report: ReportMalformed): RoomSnapshot {
  const [lastEventId, peerCount, page, tracks, chat, live] = reply;
  const entries: RosterEntry[] = [];
  for (let index = 0; index + 2 < page.length; index += 3) {
    const [peerId = '', sequence = '', value = ''] = page.slice(index, index + 3);
    entries.push({ peerId, sequence, value });
  }
  return {
    lastEventId: LOGGED_EVENT.shape.id.parse(lastEventId),
    peerCount,
    ...readPage(entries, entries.length < peerCount, report),
    tracks: readTracks(pairs(tracks), report).map(toRoomTrack),
    chat: readableOnes(report, 'chat', chat, (message) => CHAT_MESSAGE.parse(JSON.parse(message))),
    entries: readEntries(live, report).flatMap((entry) => ROOM_ENTRY.safeParse(entry).data ?? []),
  };
}

function toRoomTrack(track: StoredTrack): RoomSnapshot['tracks'][number] {
  const { trackId, peerId, kind, source, paused, replaces } = track;
  return { trackId, peerId, kind, source, paused, ...(replaces === undefined ? {} : { replaces }) };
}

export function readJoined(peerId: string, reply: unknown, report: ReportMalformed) {
  const [, value, event, snapshot, tokenGeneration] = accepted(JOIN_REPLY, reply);
  return {
    self: readRosterPeer(peerId, value),
    events: readMaybeEvent(event),
    snapshot: readSnapshot(snapshot, report),
    tokenGeneration,
    sequence: sequenceOf(value),
  };
}

/** `epoch|mediaNodeId`, see keys.ts. */
export function readGateway(reply: unknown): Gateway {
  const [epoch, mediaNodeId] = accepted(CLAIM_REPLY, reply)[1].split('|');
  return GATEWAY.parse({ mediaNodeId, epoch: Number(epoch) });
}

export function readAttached(peerId: string, reply: unknown, report: ReportMalformed): AttachedPeer {
  const [, value, placement, previous, peerCount] = accepted(ATTACH_REPLY, reply);
  return {
    self: readRosterPeer(peerId, value),
    sequence: sequenceOf(value),
    holdEpoch: readPlacement(peerId, placement).holdEpoch,
    previous: previous === '' ? undefined : readPrevious(previous, report),
    peerCount,
  };
}

const sequenceOf = (rosterValue: string): number => SEQUENCE.parse(Number(rosterValue.split('|')[0]));

/** `sequence|joinedAtMs|role|displayName` of a peer that an edge holds, with what its placement needs before it. */
export function heldPeerRecord(peer: HeldPeer): string {
  const { peerId, epoch, holdEpoch, mediaNodeId, requestId, tokenGeneration } = peer;
  const { sequence, joinedAtMs, role, displayName } = peer;
  const placement = [peerId, epoch, holdEpoch, mediaNodeId, requestId, tokenGeneration];
  const previous = [peer.previous?.epoch, peer.previous?.mediaNodeId];
  return [...placement, ...previous, sequence, joinedAtMs, role, displayName].join('|');
}

export function readRepublishedPeers(reply: unknown, report: ReportMalformed): RepublishedPeers {
  const [lastEventId, isRebuilding, lostPeers, hasLostEvents, verdicts, unlisted, peerCount, count, sum] =
    PEERS_REPLY.parse(reply);
  return {
    lastEventId: LOGGED_EVENT.shape.id.parse(lastEventId),
    isRebuilding: isRebuilding === 1,
    lostPeers,
    hasLostEvents: hasLostEvents === 1,
    peerCount,
    entries: { count, sum },
    verdicts: pairs(verdicts).map(([peerId, verdict]) => ({
      peerId: PLACEMENT.shape.peerId.parse(peerId),
      verdict: PEER_VERDICT.parse(verdict),
    })),
    unlisted: readableOnes(report, 'placement', pairs(unlisted), ([peerId, value]) =>
      readPlacement(peerId, value),
    ),
  };
}

export function readRepublishedTracks(reply: unknown, report: ReportMalformed): RepublishedTracks {
  const [lostTracks, events, verdicts, unlisted] = TRACKS_REPLY.parse(reply);
  const trackIdOf = (trackId: string): TrackId => STORED_TRACK.shape.trackId.parse(trackId);
  return {
    lostTracks,
    events: events.map(readEvent),
    verdicts: pairs(verdicts).map(([trackId, verdict]) => ({
      trackId: trackIdOf(trackId),
      verdict: TRACK_VERDICT.parse(verdict),
    })),
    unlisted: readableOnes(report, 'track', unlisted, trackIdOf),
  };
}

const ENTRIES_CHANGED_REPLY = z.tuple([z.literal('changed'), z.array(OPAQUE_TEXT), MAYBE_EVENT_REPLY]);
const ENTRIES_UNMET_REPLY = z.tuple([z.literal('unmet'), z.array(OPAQUE_TEXT)]);
const ENTRIES_REPUBLISHED_REPLY = z.tuple([z.array(OPAQUE_TEXT), MAYBE_EVENT_REPLY]);

export function readChangedEntries(reply: unknown, report: ReportMalformed): EntryChangeResult {
  const unmet = ENTRIES_UNMET_REPLY.safeParse(reply);
  if (unmet.success) return { type: 'unmet', current: readEntryStates(unmet.data[1], report) };
  const [, entries, event] = accepted(ENTRIES_CHANGED_REPLY, reply);
  return { type: 'changed', entries: readEntryStates(entries, report), events: readMaybeEvent(event) };
}

/** One that was never written stands as `0|`. */
function readEntryStates(flat: readonly string[], report: ReportMalformed): EntryState[] {
  return pairs(flat).flatMap(([field, value]): EntryState[] =>
    value === '0|' ? [{ ...parseEntryField(field), version: 0 }] : readEntries([field, value], report),
  );
}

export function readRepublishedEntries(reply: unknown): RepublishedEntries {
  const [verdicts, event] = ENTRIES_REPUBLISHED_REPLY.parse(reply);
  return {
    verdicts: pairs(verdicts).map(([field, verdict]) => ({
      entry: parseEntryField(field),
      verdict: ENTRY_VERDICT.parse(verdict),
    })),
    events: readMaybeEvent(event),
  };
}

export const readStanding = (reply: unknown): RoomStanding => ROOM_STANDING.parse(reply);

export const readPublished = (reply: unknown): LoggedEvent[] =>
  accepted(PUBLISH_REPLY, reply)[1].map(readEvent);

export function readPosted(reply: unknown) {
  const [, message, event] = accepted(CHAT_REPLY, reply);
  return { message: CHAT_MESSAGE.parse(JSON.parse(message)), events: readMaybeEvent(event) };
}

/** Nothing where only a snapshot leads on: the log does not reach back so far, or an event in it cannot be read. */
export function readEventsAfter(
  afterEventId: string,
  reply: unknown,
  report: ReportMalformed,
): CarriedEvent[] | undefined {
  const parsed = EVENTS_AFTER_REPLY.parse(reply);
  if (parsed[0] === 'missed') return undefined;
  const events = readableOnes(report, 'event', parsed[1], readCarriedEvent);
  // What somebody else wrote has no place in the order, and nobody misses it.
  const hasAll = events.length >= parsed[1].filter(([, previousId]) => previousId !== '').length;
  const isWhole = events.every(
    (event, index) => event.previousId === (events[index - 1]?.id ?? afterEventId),
  );
  return hasAll && isWhole ? events : undefined;
}

export function readRoomReply(reply: unknown, report: ReportMalformed): RoomSnapshot | undefined {
  const parsed = ROOM_REPLY.parse(reply);
  return parsed[0] === 'room' ? readSnapshot(parsed[1], report) : undefined;
}
