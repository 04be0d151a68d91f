/** A page that was opened before an upgrade: an earlier commit's client, without a user interface. */
import { createMeeting } from './client.js';
import type { YesterdaysMeeting } from './client.js';

export interface YesterdaysPage {
  join(edgeUrl: string, roomId: string, token: string): Promise<void>;
  look(): YesterdaysLook;
  post(text: string): void;
}

export interface YesterdaysLook {
  readonly phase: string;
  readonly peerId: string;
  readonly edgeId: string;
  readonly peerCount: number;
  readonly lastEventId: string;
  readonly chat: readonly string[];
  /** How often it requested missing events. */
  readonly syncs: number;
}

declare global {
  var yesterdaysPage: YesterdaysPage;
}

let meeting: YesterdaysMeeting | undefined;

globalThis.yesterdaysPage = {
  join: async (edgeUrl, roomId, token) => {
    meeting = createMeeting({ edgeUrls: [edgeUrl], roomId, token, displayName: 'Yves' });
    await meeting.join();
  },
  look: () => {
    if (meeting === undefined) throw new Error('The page has not joined.');
    const { connection, self, edgeId = '', room } = meeting.getSnapshot();
    return {
      phase: connection.phase,
      peerId: self?.peerId ?? '',
      edgeId,
      peerCount: room.peerCount,
      lastEventId: room.lastEventId,
      chat: room.chat.map(({ text }) => text),
      syncs: meeting.counters.syncs,
    };
  },
  post: (text) => {
    meeting?.postChat(text);
  },
};
