/**
 * The part of the web app's `window.plenary` that these tests read. It is written out instead of imported, so that the
 * tests use the app as any other program in the page would.
 */
export interface PageMeeting {
  getSnapshot(): {
    readonly connection: { readonly phase: string };
    readonly media: string;
    readonly self?: { readonly peerId: string; readonly displayName: string; readonly role: string };
    readonly edgeId?: string;
    readonly mediaNodeId?: string;
    readonly room: {
      readonly peerCount: number;
      readonly lastEventId: string;
      readonly peers: ReadonlyMap<string, { readonly displayName: string }>;
      readonly tracks: ReadonlyMap<string, unknown>;
      readonly chat: readonly { readonly text: string }[];
    };
    readonly localTracks: ReadonlyMap<string, { readonly mediaTrack: MediaStreamTrack | null }>;
    readonly remoteTracks: ReadonlyMap<
      string,
      { readonly source: string; readonly publisherPaused: boolean }
    >;
  };
  readonly counters: { readonly mediaReopened: number; readonly iceRestarts: number };
  postChat(text: string): boolean;
  stats(): Promise<{
    readonly received: readonly {
      readonly trackId: string;
      readonly peerId: string;
      readonly kind: string;
      readonly source: string;
      readonly framesDecoded: number;
      readonly totalAudioEnergy: number;
    }[];
    readonly sent: readonly { readonly source: string; readonly allowedLayers: number }[];
  }>;
}

declare global {
  var plenary: PageMeeting | undefined;
}

/** Totals of the video and audio that a page has received from others. */
export interface Reception {
  readonly framesDecoded: number;
  readonly audioEnergy: number;
}
