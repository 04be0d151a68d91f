import type { Page } from 'playwright-core';
import './page-meeting.ts';

/** What happened on a page while it was watched. */
export interface Watched {
  /** The longest time without a new frame on the other person's first tile, in milliseconds. */
  readonly longestGapMs: number;
  readonly frames: number;
  /** Every peer count that the page's roster had. */
  readonly rosterSizes: readonly number[];
  /** Every state that the media session had. */
  readonly mediaStates: readonly string[];
  /** Whether the tile's element and its video element are still the same. */
  readonly sameElements: boolean;
}

declare global {
  var watched: (() => Watched) | undefined;
}

/** Watches a person's tile from within the page, where every shown frame can be seen. */
export async function startWatching(page: Page, peerName: string): Promise<void> {
  await page.evaluate((name) => {
    const find = (): HTMLVideoElement | undefined =>
      document.querySelector<HTMLVideoElement>(`[data-testid="tile"][data-peer-name="${name}"] video`) ??
      undefined;
    const video = find();
    const tile = video?.closest('[data-testid="tile"]');
    const rosterSizes = new Set<number>();
    const mediaStates = new Set<string>();
    let lastMs = performance.now();
    let longestGapMs = 0;
    let frames = 0;
    const look = (): void => {
      const now = globalThis.plenary?.getSnapshot();
      if (now === undefined) return;
      rosterSizes.add(now.room.peerCount);
      mediaStates.add(now.media);
    };
    const timer = setInterval(look, 20);
    const onFrame = (): void => {
      const nowMs = performance.now();
      longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
      lastMs = nowMs;
      frames += 1;
      find()?.requestVideoFrameCallback(onFrame);
    };
    video?.requestVideoFrameCallback(onFrame);
    globalThis.watched = () => {
      clearInterval(timer);
      longestGapMs = Math.max(longestGapMs, performance.now() - lastMs);
      const after = find();
      return {
        longestGapMs,
        frames,
        rosterSizes: [...rosterSizes],
        mediaStates: [...mediaStates],
        sameElements:
          after !== undefined && after === video && after.closest('[data-testid="tile"]') === tile,
      };
    };
  }, peerName);
}

export async function stopWatching(page: Page): Promise<Watched> {
  return page.evaluate(() => {
    if (globalThis.watched === undefined) throw new Error('The page is not being watched.');
    return globalThis.watched();
  });
}
