/** What is used of the client that was built from an earlier commit. */
export interface YesterdaysMeeting {
  getSnapshot(): {
    readonly connection: { readonly phase: string };
    readonly self?: { readonly peerId: string };
    readonly edgeId?: string;
    readonly room: {
      readonly peerCount: number;
      readonly lastEventId: string;
      readonly chat: readonly { readonly text: string }[];
    };
  };
  readonly counters: { readonly syncs: number };
  join(): Promise<void>;
  postChat(text: string): boolean;
  leave(): Promise<void>;
}

export function createMeeting(options: {
  readonly edgeUrls: readonly string[];
  readonly roomId: string;
  readonly token: string;
  readonly displayName: string;
}): YesterdaysMeeting;
