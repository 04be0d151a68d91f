import type { PeerId, TrackId } from '@plenary/cluster/protocol';
import type { MeetingSnapshot, RemoteTrack } from '../client/index.ts';
import { raisedHands } from '../features/hands/hands.ts';

/**
 * - `no-signal`: what is shown is not what goes on there, since nothing arrives;
 * - `nothing-new`: nothing arrives of a screen, and nothing else of its person that would tell why: it may stand still, which some
 *   browsers send nothing for, or its person may be lost;
 * - `cannot-show`: this browser cannot show it.
 */
export type Trouble = 'no-signal' | 'nothing-new' | 'cannot-show';

/** One rectangle of the screen: somebody's camera, or somebody's screen. */
export interface Tile {
  /** Stays the same when the track behind it is replaced, so that the tile does not jump. */
  readonly key: string;
  readonly peerId: PeerId;
  readonly name: string;
  readonly source: 'camera' | 'screen';
  readonly isSelf: boolean;
  readonly trackId: TrackId | undefined;
  /** Absent while the camera is off or the track has not come yet. */
  readonly video: MediaStreamTrack | undefined;
  /** Somebody sends a picture that is not here yet. */
  readonly waiting: boolean;
  /** What may be wrong with what is shown; see {@link Trouble}. */
  readonly trouble: Trouble | undefined;
  readonly micMuted: boolean;
  readonly speaking: boolean;
  /** The place of the person's hand among those that are up; of cameras only. */
  readonly hand?: number | undefined;
}

/** The tiles of a meeting: screens first, then people by the time they joined, oneself at the end. */
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
      // Who shows nothing is judged by the voice.
      const judged = sends ? track : source === 'camera' ? microphone : undefined;
      const isStalledTrack = (one: RemoteTrack | undefined): boolean =>
        one !== undefined && !one.publisherPaused && stalled.has(one.trackId);
      const isStalled = isStalledTrack(judged);
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

/** What goes where: a screen takes the stage and everybody else the filmstrip; without one, all share the grid. */
export interface Arrangement {
  readonly stage: Tile | undefined;
  readonly rest: readonly Tile[];
}

/** Chooses the stage: the first screen of somebody else, so that nobody looks at a picture of their own picture. */
export function arrange(tiles: readonly Tile[]): Arrangement {
  const screens = tiles.filter(({ source }) => source === 'screen');
  const stage = screens.find(({ isSelf }) => !isSelf) ?? screens[0];
  return { stage, rest: stage === undefined ? tiles : tiles.filter((tile) => tile !== stage) };
}

/**
 * The tiles of one page. Whoever speaks is brought onto the first page, in the place of its last silent tiles, so
 * that the order of all others stays.
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

/** A hue of their own for each person, the same on every screen. */
export function hueOf(peerId: string): number {
  // FNV-1a, then spread by the golden angle: ids that differ in one letter must not look alike.
  let hash = 0x811c9dc5;
  for (const character of peerId) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return Math.round((hash % 997) * 137.508) % 360;
}
