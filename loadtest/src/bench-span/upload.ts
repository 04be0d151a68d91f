import { waitFor } from '@plenary/cluster/testing/wait-for';
import { setTimeout as delay } from 'node:timers/promises';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser, Page } from 'playwright-core';
import type { PageJoin } from '../bench-join/page/page.ts';
import { startPageServer } from '../page-server.ts';
import { launchChromium } from '../browser.ts';
import { makeJoinToken } from '../join-token.ts';
import { figure } from '../table.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { spreadOf } from './spread.ts';
import type { Spread } from './spread.ts';

const ROOM = 'upload';
const ROUNDS = 5;
const CAMERA = { width: 1_280, height: 720 };
const LARGE_PX = 720;
const SMALL_PX = 120;
const LOWERED_AIM_MS = 3_000;
/** The window in which an upload is measured, in milliseconds. */
const WINDOW_MS = 500;
/** An upload counts as lowered below this share of its earlier value. */
const LOWERED_SHARE = 0.5;

export interface UploadFigures {
  /** The camera's upload while a viewer draws it large, in kbit/s. */
  readonly largeKbps: Spread | null;
  /** The upload after it was lowered, in kbit/s. */
  readonly smallKbps: Spread | null;
  /** Milliseconds from the last viewer's smaller tile until the upload of half a second is less than half. */
  readonly loweredMs: Spread | null;
  /** Milliseconds from the larger tile until the viewer decodes large pictures again. */
  readonly sharpMs: Spread | null;
}

/** Measures in Chromium how a viewer's tile changes the upload of a publisher in another datacenter. */
export async function measureUpload(
  rounds: number,
  progress: (line: string) => void,
): Promise<UploadFigures> {
  const pages = await startPageServer();
  let cluster: LocalCluster | undefined;
  let browser: Browser | undefined;
  try {
    cluster = await startLocalCluster({
      edges: 1,
      mediaNodes: 2,
      workers: 1,
      web: false,
      logLevel: 'warn',
      edge: () => ({ env: { PLENARY_ALLOWED_ORIGINS: '*' } }),
    });
    browser = await launchChromium();
    progress('the upload of a camera whose tile shrinks and grows');
    const [home, away] = cluster.mediaNodes.map(({ datacenter }) => datacenter);
    const publisher = await openPage(browser, pages.url);
    const viewer = await openPage(browser, pages.url);
    await publisher.evaluate((join) => window.plenaryBench.publish(join), joinOf(cluster, 'publisher', home));
    await viewer.evaluate((join) => window.plenaryBench.watch(join), joinOf(cluster, 'viewer', away));
    return await measureRounds(publisher, viewer, rounds);
  } finally {
    await browser?.close();
    await cluster?.stop();
    await pages.close();
  }
}

async function measureRounds(publisher: Page, viewer: Page, rounds: number): Promise<UploadFigures> {
  const [large, small, lowered, sharp]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round += 1) {
    const sharpMs = await drawLarge(viewer);
    // The tile is large at first.
    if (round > 0) sharp.push(sharpMs);
    const largeKbps = await fullUpload(publisher);
    large.push(largeKbps);
    const { afterMs, kbps } = await drawSmall(viewer, publisher, largeKbps);
    lowered.push(afterMs);
    small.push(kbps);
  }
  return {
    largeKbps: spreadOf(large),
    smallKbps: spreadOf(small),
    loweredMs: spreadOf(lowered),
    sharpMs: spreadOf(sharp),
  };
}

async function openPage(browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

function joinOf(cluster: LocalCluster, name: string, datacenter = ''): PageJoin {
  const token = makeJoinToken(cluster, { subject: name, roomId: ROOM, datacenter });
  return { edgeUrl: cluster.edges[0]?.url ?? '', roomId: ROOM, token, warm: false, camera: CAMERA };
}

/** @returns milliseconds until large pictures are decoded */
async function drawLarge(viewer: Page): Promise<number> {
  const beganMs = performance.now();
  await viewer.evaluate((heightPx) => window.plenaryBench.draw(heightPx), LARGE_PX);
  await waitFor('large pictures', async () => {
    const heightPx = await viewer.evaluate(() => window.plenaryBench.receivedHeight());
    return heightPx === CAMERA.height;
  });
  return performance.now() - beganMs;
}

/** The upload in kbit/s, once all layers are sent and their bitrate has stopped growing. */
async function fullUpload(publisher: Page): Promise<number> {
  await waitFor('all layers', async () => (await sentCamera(publisher)).layers === 3);
  for (let before = 0; ;) {
    const now = await uploadKbps(publisher, 4 * WINDOW_MS);
    if (now < before * 1.1) return now;
    before = now;
  }
}

async function drawSmall(
  viewer: Page,
  publisher: Page,
  largeKbps: number,
): Promise<{ readonly afterMs: number; readonly kbps: number }> {
  const looks: { readonly atMs: number; readonly bytes: number }[] = [];
  const beganMs = performance.now();
  await viewer.evaluate((heightPx) => window.plenaryBench.draw(heightPx), SMALL_PX);
  let afterMs = 0;
  await waitFor('a smaller upload', async () => {
    const { bytes } = await sentCamera(publisher);
    const atMs = performance.now();
    looks.push({ atMs, bytes });
    const since = looks.findLast((look) => atMs - look.atMs >= WINDOW_MS);
    if (since === undefined) return false;
    afterMs = atMs - beganMs;
    return kbpsOf(bytes - since.bytes, atMs - since.atMs) < largeKbps * LOWERED_SHARE;
  });
  return { afterMs, kbps: await uploadKbps(publisher, 4 * WINDOW_MS) };
}

async function uploadKbps(publisher: Page, overMs: number): Promise<number> {
  const before = await sentCamera(publisher);
  const beganMs = performance.now();
  await delay(overMs);
  const after = await sentCamera(publisher);
  return kbpsOf(after.bytes - before.bytes, performance.now() - beganMs);
}

const sentCamera = (publisher: Page) => publisher.evaluate(() => window.plenaryBench.sentCamera());
const kbpsOf = (bytes: number, overMs: number): number => (bytes * 8) / overMs;

export function describeUpload({ largeKbps, smallKbps, loweredMs, sharpMs }: UploadFigures): SpanResult {
  const row = (name: string, spread: Spread | null): string[] => [
    name,
    ...[spread?.p50, spread?.worst].map(figure),
    String(spread?.count ?? 0),
  ];
  return {
    title: 'What a viewer’s tile does to the upload, in Chromium',
    notes: [
      `The camera has ${CAMERA.height} lines in three layers, its only viewer is on another node. The tile shrinks from ${LARGE_PX}`,
      `to ${SMALL_PX} pixels: lowered when half a second's upload is less than half. Then it grows: sharp when large pictures come.`,
    ],
    table: {
      header: ['', 'p50', 'worst', 'rounds'],
      rows: [
        row('upload, tile large, kbit/s', largeKbps),
        row('upload, tile small, kbit/s', smallKbps),
        row('lowered after, ms', loweredMs),
        row('sharp again after, ms', sharpMs),
      ],
    },
    aims: [
      {
        what: 'upload lowered, worst',
        unit: 'ms',
        aim: LOWERED_AIM_MS,
        better: 'less',
        measured: loweredMs?.worst ?? null,
      },
    ],
    figures: { largeKbps, smallKbps, loweredMs, sharpMs },
  };
}

export const uploadSection: SpanSection = {
  name: 'upload',
  run: async (_options, progress) => describeUpload(await measureUpload(ROUNDS, progress)),
};
