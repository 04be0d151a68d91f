/**
 * This page runs in Chromium: the real headless client and nothing else. `../../page-server.ts` bundles it; the benchmark
 * calls it through `window.plenaryBench`.
 */
import type { JoinTimings, Meeting } from '@plenary/web/client';
import { createMeeting } from '@plenary/web/client';

export interface PageJoin {
  readonly edgeUrl: string;
  readonly roomId: string;
  readonly token: string;
  /** `true`: device, certificate and socket are made before the clock starts, as the pre-join page does. */
  readonly warm: boolean;
  /** The published camera's size; 640 × 360 by default. */
  readonly camera?: { readonly width: number; readonly height: number };
}

export interface PageJoinResult {
  /** When `join()` was called, in milliseconds since 1970. */
  readonly joinedAtMs: number;
  readonly timings: JoinTimings;
  readonly framesDecoded: number;
  readonly mediaNodeId: string | undefined;
  readonly warnings: readonly string[];
}

const FIRST_FRAME_TIMEOUT_MS = 15_000;
const POLL_MS = 10;
const CAMERA = { width: 640, height: 360, frameRate: 30 };

const warnings: string[] = [];
/** The meeting that this page is in. */
let current: Meeting | undefined;

function meetingOfPage(): Meeting {
  if (current === undefined) throw new Error('This page is in no meeting.');
  return current;
}

const log = {
  warn: (message: string, detail?: unknown): void => {
    warnings.push(detail === undefined ? message : `${message}: ${String(detail)}`);
  },
};

async function waitFor(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + FIRST_FRAME_TIMEOUT_MS;
  while (!holds()) {
    if (performance.now() > deadline)
      throw new Error(`no ${what} in time; warnings: ${warnings.join(' | ')}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export const bench = {
  /** Publishes the fake microphone and camera until the page is closed. */
  async publish(join: PageJoin): Promise<void> {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { ...CAMERA, ...join.camera },
    });
    const meeting = createMeeting({ edgeUrls: [join.edgeUrl], roomId: join.roomId, token: join.token, log });
    current = meeting;
    for (const track of stream.getTracks()) {
      await meeting.publish(track.kind === 'audio' ? 'microphone' : 'camera', track);
    }
    await meeting.join();
    const { localTracks } = meeting.getSnapshot();
    await waitFor('published tracks', () => {
      const tracks = [...meeting.getSnapshot().localTracks.values()];
      return tracks.length === localTracks.size && tracks.every(({ status }) => status === 'live');
    });
    let sent = 0;
    const deadline = performance.now() + FIRST_FRAME_TIMEOUT_MS;
    while (sent === 0) {
      if (performance.now() > deadline) throw new Error('the publisher sends no video');
      const stats = await meeting.stats();
      sent = stats.sent.find(({ source }) => source === 'camera')?.framesEncoded ?? 0;
    }
  },

  /** Joins and stays in the meeting. */
  async watch(join: PageJoin): Promise<void> {
    current = createMeeting({ edgeUrls: [join.edgeUrl], roomId: join.roomId, token: join.token, log });
    await current.join();
    await waitFor('picture', () => meetingOfPage().joinTimings.firstFrame !== undefined);
  },

  /** Draws every video at this height, in CSS pixels. */
  draw(heightPx: number): void {
    const meeting = meetingOfPage();
    const videos = [...meeting.getSnapshot().remoteTracks.values()].filter(({ kind }) => kind === 'video');
    meeting.setWantedVideo(new Map(videos.map(({ trackId }) => [trackId, heightPx])));
  },

  /** How many bytes and layers this page's camera has sent. */
  async sentCamera(): Promise<{ readonly bytes: number; readonly layers: number }> {
    const { sent } = await meetingOfPage().stats();
    const camera = sent.find(({ source }) => source === 'camera');
    return { bytes: camera?.bytesSent ?? 0, layers: camera?.layers ?? 0 };
  },

  /** The height of the first received video. */
  async receivedHeight(): Promise<number> {
    const { received } = await meetingOfPage().stats();
    return received.find(({ kind }) => kind === 'video')?.frameHeight ?? 0;
  },

  /** Joins, waits for the first decoded picture, leaves. */
  async join(join: PageJoin): Promise<PageJoinResult> {
    const meeting = createMeeting({ edgeUrls: [join.edgeUrl], roomId: join.roomId, token: join.token, log });
    if (join.warm) await meeting.prepare();
    const joinedAtMs = performance.timeOrigin + performance.now();
    await meeting.join();
    await waitFor('picture', () => meeting.joinTimings.firstFrame !== undefined);
    const { received } = await meeting.stats();
    const timings = meeting.joinTimings;
    const { mediaNodeId } = meeting.getSnapshot();
    await meeting.leave();
    const framesDecoded = received.reduce((sum, track) => sum + track.framesDecoded, 0);
    return { joinedAtMs, timings, framesDecoded, mediaNodeId, warnings: warnings.splice(0) };
  },
};

declare global {
  interface Window {
    plenaryBench: typeof bench;
  }
}

window.plenaryBench = bench;
