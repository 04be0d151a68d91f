import type { PeerId, TrackId } from '@plenary/cluster/protocol';
import type { MeetingSnapshot, RemoteTrack } from '../client/index.ts';
import { raisedHands } from '../features/hands/hands.ts';

/**
 * - `no-signal`: nothing arrives, so the shown frame is old;
 * - `nothing-new`: no packets of a screen arrive, and no other track of the peer shows why: the screen may be unchanged, for which some
 *   browsers send nothing, or the peer may be lost;
 * - `cannot-show`: this browser cannot show the track.
 */
export type Trouble = 'no-signal' | 'nothing-new' | 'cannot-show';

/** One rectangle of the screen: somebody's camera, or somebody's screen. */
export interface Tile {
  /** The same for a track and its replacement, so that the tile does not move. */
  readonly key: string;
  readonly peerId: PeerId;
  readonly name: string;
  readonly source: 'camera' | 'screen';
  readonly isSelf: boolean;
  readonly trackId: TrackId | undefined;
  /** Absent while the camera is off or the track is not received yet. */
  readonly video: MediaStreamTrack | undefined;
  /** The peer sends a video that does not arrive yet. */
  readonly waiting: boolean;
  /** A problem with the shown video; see {@link Trouble}. */
  readonly trouble: Trouble | undefined;
  readonly micMuted: boolean;
  readonly speaking: boolean;
  /** The position of the person's raised hand; only for cameras. */
  readonly hand?: number | undefined;
}

/** The tiles of a meeting: screens first, then peers in the order of their joins, the own camera last. */
export function buildTiles(snapshot: MeetingSnapshot): readonly Tile[] {
  const { room, self, ownPeerIds, remoteTracks, localTracks, speakers, stalled } = snapshot;
  if (self === undefined) return [];
  const speaking = new Set(speakers);
  const hands = raisedHands(room);
  const cameras: Tile[] = [];
  const screens: Tile[] = [];
  const bySource = new Map(
    [...remoteTracks.values()].map((track) => [`${track.peerId}:${track.source}`, track]),
  );
  const peerIds = new Set([
    ...[...room.peers.values()].filter(({ role }) => role !== 'viewer').map(({ peerId }) => peerId),
    ...[...remoteTracks.values()].map(({ peerId }) => peerId),
  ]);
  for (const peerId of peerIds) {
    if (peerId === self.peerId || ownPeerIds.has(peerId)) continue;
    const name = room.peers.get(peerId)?.displayName ?? 'Guest';
    const microphone = bySource.get(`${peerId}:microphone`);
    const micMuted = microphone === undefined || microphone.publisherPaused;
    const tile = (source: 'camera' | 'screen'): Tile => {
      const track = bySource.get(`${peerId}:${source}`);
      const sends = track !== undefined && !track.publisherPaused;
      const cannotShow = sends && track.status === 'failed';
      // Without video, the microphone shows whether the peer is stalled.
      const watched = sends ? track : source === 'camera' ? microphone : undefined;
      const isStalledTrack = (one: RemoteTrack | undefined): boolean =>
        one !== undefined && !one.publisherPaused && stalled.has(one.trackId);
      const isStalled = isStalledTrack(watched);
      const isCertain =
        source === 'camera' || isStalledTrack(microphone) || isStalledTrack(bySource.get(`${peerId}:camera`));
      return {
        key: `${peerId}:${source}`,
        peerId,
        name,
        source,
        isSelf: false,
        trackId: track?.trackId,
        video: sends ? track.mediaTrack : undefined,
        waiting: sends && !cannotShow && (track.mediaTrack === undefined || snapshot.media !== 'connected'),
        trouble: cannotShow
          ? 'cannot-show'
          : !isStalled
            ? undefined
            : isCertain
              ? 'no-signal'
              : 'nothing-new',
        micMuted,
        speaking: speaking.has(peerId) && !micMuted && !isStalled,
        hand: source === 'camera' ? hands.get(peerId) : undefined,
      };
    };
    cameras.push(tile('camera'));
    if (bySource.has(`${peerId}:screen`)) screens.push(tile('screen'));
  }
  const ownMicrophone = localTracks.get('microphone');
  const ownMuted = ownMicrophone === undefined || ownMicrophone.paused || ownMicrophone.status === 'failed';
  const ownTile = (source: 'camera' | 'screen'): Tile => {
    const track = localTracks.get(source);
    return {
      key: `${self.peerId}:${source}`,
      peerId: self.peerId,
      name: self.displayName,
      source,
      isSelf: true,
      trackId: track?.trackId,
      video: track?.paused === false ? (track.mediaTrack ?? undefined) : undefined,
      waiting: false,
      trouble: undefined,
      micMuted: ownMuted,
      speaking: speaking.has(self.peerId) && !ownMuted,
      hand: source === 'camera' ? hands.get(self.peerId) : undefined,
    };
  };
  if (localTracks.has('screen')) screens.push(ownTile('screen'));
  return [...screens, ...cameras, ownTile('camera')];
}

/** The arrangement of tiles: a screen takes the stage and the rest the filmstrip; without a screen all share the grid. */
export interface Arrangement {
  readonly stage: Tile | undefined;
  readonly rest: readonly Tile[];
}

/** Chooses the stage: the first screen of another peer, so that nobody sees their own screen within itself. */
export function arrange(tiles: readonly Tile[]): Arrangement {
  const screens = tiles.filter(({ source }) => source === 'screen');
  const stage = screens.find(({ isSelf }) => !isSelf) ?? screens[0];
  return { stage, rest: stage === undefined ? tiles : tiles.filter((tile) => tile !== stage) };
}

/**
 * The tiles of one page. Speakers of later pages swap places with the last silent tiles of the first page, so that the order of all other
 * tiles stays.
 */
export function pageOf(tiles: readonly Tile[], capacity: number, page: number): readonly Tile[] {
  const first = tiles.slice(0, capacity);
  const later = tiles.slice(capacity);
  for (const speaker of later.filter(({ speaking }) => speaking)) {
    const place = first.findLastIndex(({ speaking, isSelf }) => !speaking && !isSelf);
    const displaced = first[place];
    if (displaced === undefined) break;
    first[place] = speaker;
    later[later.indexOf(speaker)] = displaced;
  }
  return [...first, ...later].slice(page * capacity, (page + 1) * capacity);
}

/** One or two letters for a person whose camera is off. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) =>
    word === undefined ? '' : [...word][0],
  );
  return letters.join('').toUpperCase();
}

/** The hue of a person, the same on every client. */
export function hueOf(peerId: string): number {
  // FNV-1a, then spread by the golden angle: ids that differ in one letter must not look alike.
  let hash = 0x811c9dc5;
  for (const character of peerId) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return Math.round((hash % 997) * 137.508) % 360;
}
