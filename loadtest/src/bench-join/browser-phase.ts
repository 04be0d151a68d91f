import type { JoinStep } from '@plenary/web/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../browser.ts';
import { makeJoinToken } from '../join-token.ts';
import type { PageJoin, PageJoinResult } from './page/page.ts';
import { startPageServer } from '../page-server.ts';
import type { FirstPackets } from './proxy-thread.ts';
import { meanBetween, readServerSums } from './server-times.ts';
import type { ServerTimes } from './server-times.ts';
import { startSite } from './site.ts';
import type { Site } from './site.ts';
import { summarise } from './statistics.ts';
import type { Summary } from './statistics.ts';

const ROOM = 'bench-browser';

export interface BrowserOptions {
  readonly rounds: number;
  readonly roundTripMs: number;
}

/** The client's own steps, and those that the delay proxy sees, if there is one. */
export type Step = JoinStep | 'firstAudioSent' | 'firstVideoSent';
type StepTimings = Readonly<Partial<Record<Step, number>>>;

export interface BrowserResult {
  /** The round trip between client and cluster, in milliseconds. 0: loopback without a proxy. */
  readonly roundTripMs: number;
  /**
   * `cold`: nothing is ready when the clock starts. `warm`: the pre-join page has opened the socket and made the
   * certificate.
   */
  readonly start: 'cold' | 'warm';
  readonly joins: number;
  readonly firstFrame: Summary | undefined;
  /** When each step was done, since `join()`. */
  readonly steps: Readonly<Partial<Record<Step, Summary>>>;
  /** The server's own part of `joinAnswered`, on average. */
  readonly server: ServerTimes | null;
  /** The joins one by one, in their order. */
  readonly samples: readonly StepTimings[];
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** Measures joins of a real Chromium one after the other, each in a fresh browser context. */
export async function runBrowserPhase(
  options: BrowserOptions,
  progress: (line: string) => void,
): Promise<BrowserResult[]> {
  const pages = await startPageServer();
  const results: BrowserResult[] = [];
  try {
    for (const roundTripMs of options.roundTripMs === 0 ? [0] : [0, options.roundTripMs]) {
      results.push(...(await measureSite(pages.url, roundTripMs, options.rounds, progress)));
    }
  } finally {
    await pages.close();
  }
  return results;
}

async function measureSite(
  pageUrl: string,
  roundTripMs: number,
  rounds: number,
  progress: (line: string) => void,
): Promise<BrowserResult[]> {
  const site = await startSite(roundTripMs);
  let browser: Browser | undefined;
  try {
    browser = await launchChromium();
    const publisher = await openPage(browser, pageUrl);
    await publisher.page.evaluate(
      (join) => window.plenaryBench.publish(join),
      pageJoin(site, 'publisher', false),
    );
    const results: BrowserResult[] = [];
    for (const start of ['cold', 'warm'] as const) {
      progress(`Chromium, ${start}, ${roundTripMs} ms round trip: ${rounds} joins`);
      results.push(await measureJoins(browser, pageUrl, site, { roundTripMs, start, rounds }));
    }
    return results;
  } finally {
    await browser?.close();
    await site.close();
  }
}

async function measureJoins(
  browser: Browser,
  pageUrl: string,
  site: Site,
  row: { readonly roundTripMs: number; readonly start: 'cold' | 'warm'; readonly rounds: number },
): Promise<BrowserResult> {
  const timings: StepTimings[] = [];
  const warnings = new Set<string>();
  const failures: string[] = [];
  const before = await readServerSums(site.cluster.edges[0]?.operatorUrl ?? '');
  for (let round = 0; round < row.rounds; round += 1) {
    const { context, page } = await openPage(browser, pageUrl);
    try {
      const join = pageJoin(site, `viewer-${row.start}-${round}`, row.start === 'warm');
      await site.proxy?.reset();
      const result = await page.evaluate((request) => window.plenaryBench.join(request), join);
      timings.push(withPackets(result, await site.proxy?.firstPackets()));
      for (const warning of result.warnings) warnings.add(warning);
    } catch (error) {
      failures.push(error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error));
    } finally {
      await context.close();
    }
  }
  return {
    roundTripMs: row.roundTripMs,
    start: row.start,
    joins: timings.length,
    firstFrame: summariseStep(timings, 'firstFrame'),
    steps: summariseSteps(timings),
    server: meanBetween(before, await readServerSums(site.cluster.edges[0]?.operatorUrl ?? '')),
    samples: timings,
    failures,
    warnings: [...warnings],
  };
}

/** Adds the proxy's steps, also in milliseconds since `join()`. */
function withPackets(result: PageJoinResult, { audio, video }: FirstPackets = {}): StepTimings {
  return {
    ...result.timings,
    ...(audio === undefined ? {} : { firstAudioSent: audio - result.joinedAtMs }),
    ...(video === undefined ? {} : { firstVideoSent: video - result.joinedAtMs }),
  };
}

async function openPage(browser: Browser, url: string): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  await page.goto(url);
  return { context, page };
}

function pageJoin(site: Site, name: string, warm: boolean): PageJoin {
  const token = makeJoinToken(site.cluster, { subject: name, roomId: ROOM });
  return { edgeUrl: site.edgeUrl, roomId: ROOM, token, warm };
}

function summariseStep(timings: readonly StepTimings[], step: Step): Summary | undefined {
  return summarise(timings.map((timing) => timing[step]).filter((value) => value !== undefined));
}

function summariseSteps(timings: readonly StepTimings[]): Partial<Record<Step, Summary>> {
  const steps: Partial<Record<Step, Summary>> = {};
  for (const name of STEPS) {
    const summary = summariseStep(timings, name);
    if (summary !== undefined) steps[name] = summary;
  }
  return steps;
}

/** The steps in their order; the client's own are written out, because its module does not load in Node. */
const STEPS: readonly Step[] = [
  'socketOpen',
  'prepared',
  'joinSent',
  'joinAnswered',
  'transportsCreated',
  'consumed',
  'iceConnected',
  'dtlsConnected',
  'firstAudioSent',
  'firstVideoSent',
  'firstFrame',
];
