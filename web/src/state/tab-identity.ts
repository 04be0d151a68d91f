import { PEER_ID, type PeerId, type RoomName } from '@plenary/cluster/protocol';
import { announceToTabs, peersOfTabs } from './other-tabs.ts';
import { recallPeers, rememberPeer } from './preferences.ts';

/**
 * The peer ids that this tab has and had in a room. A duplicated tab starts with a copy of the ids that the original tab remembers, and
 * the original may still use them.
 */
export class TabIdentity {
  readonly #roomId: RoomName;
  /** Ids from before the page was loaded, which may belong to the tab that this one was duplicated from. */
  readonly previousPeers: readonly PeerId[];
  /** Ids that this page itself had since it was loaded. */
  readonly #ownPeers = new Set<string>();
  /** Ends the announcement of the current id to other tabs. */
  #announcement = new AbortController();
  #current: PeerId | undefined;

  constructor(roomId: RoomName) {
    this.#roomId = roomId;
    this.previousPeers = recallPeers(roomId).flatMap((peerId) => PEER_ID.safeParse(peerId).data ?? []);
  }

  /** Remembers the id under which this page is in the room, and announces it to other tabs. @returns whether the id is new */
  enter(peerId: PeerId): boolean {
    if (peerId === this.#current) return false;
    this.#current = peerId;
    this.#ownPeers.add(peerId);
    rememberPeer(this.#roomId, peerId);
    this.#endAnnouncement();
    announceToTabs(peerId, this.#announcement.signal);
    return true;
  }

  /** Stops announcing the id, because the page ends. */
  leave(): void {
    this.#endAnnouncement();
  }

  /** The ids that other tabs of this browser use now. */
  async peersOfOtherTabs(): Promise<readonly string[]> {
    return [...(await peersOfTabs())].filter((peerId) => !this.#ownPeers.has(peerId));
  }

  /** Whether a previous id of this tab is in the room, so that it matters who uses it now. */
  hasPreviousPeerIn(peers: ReadonlyMap<PeerId, unknown>): boolean {
    return this.previousPeers.some((peerId) => peers.has(peerId));
  }

  #endAnnouncement(): void {
    this.#announcement.abort();
    this.#announcement = new AbortController();
  }
}
