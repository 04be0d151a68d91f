import type { JoinStep, JoinTimings } from '@plenary/web/client';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../browser.ts';
import { ImpairmentProxy, roundTrip } from '../impairment/index.ts';
import { makeJoinToken } from '../join-token.ts';
import type { PageJoin, PageJoinResult } from './page/page.ts';
import { startPageServer } from './page-server.ts';
import { summarise } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** What is announced to clients when the proxy stands in front of the node, which itself is on 127.0.0.1. */
const PROXY_ADDRESS = '127.0.0.2';
const ROOM = 'bench-browser';

export interface BrowserOptions {
  readonly rounds: number;
  readonly roundTripMs: number;
}

export interface BrowserResult {
  /** Of the path between client and cluster. 0: loopback, no proxy at all. */
  readonly roundTripMs: number;
  /**
   * `cold`: nothing is ready when the clock starts. `warm`: the pre-join page has opened the socket and made the
   * certificate.
   */
  readonly start: 'cold' | 'warm';
  readonly joins: number;
  readonly firstFrame: Summary | undefined;
  /** When each step was done, since `join()`. */
  readonly steps: Readonly<Partial<Record<JoinStep, Summary>>>;
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

interface Site {
  readonly cluster: LocalCluster;
  readonly edgeUrl: string;
  close(): Promise<void>;
}

/** Measures joins of a real Chromium, one after the other, each in a fresh context. */
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
  const joins: PageJoinResult[] = [];
  const failures: string[] = [];
  for (let round = 0; round < row.rounds; round += 1) {
    const { context, page } = await openPage(browser, pageUrl);
    try {
      const join = pageJoin(site, `viewer-${row.start}-${round}`, row.start === 'warm');
      joins.push(await page.evaluate((request) => window.plenaryBench.join(request), join));
    } catch (error) {
      failures.push(error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error));
    } finally {
      await context.close();
    }
  }
  const timings = joins.map((join) => join.timings);
  return {
    roundTripMs: row.roundTripMs,
    start: row.start,
    joins: joins.length,
    firstFrame: summariseStep(timings, 'firstFrame'),
    steps: summariseSteps(timings),
    failures,
    warnings: [...new Set(joins.flatMap((join) => join.warnings))],
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

/** One edge and one media node with one worker; with a round trip, both are reached through the proxy alone. */
async function startSite(roundTripMs: number): Promise<Site> {
  const common = {
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    web: false as const,
    logLevel: 'warn',
    env: { PLENARY_ALLOWED_ORIGINS: '*' },
  };
  if (roundTripMs === 0) {
    const cluster = await startLocalCluster(common);
    return { cluster, edgeUrl: firstOf(cluster.edges).url, close: () => cluster.stop() };
  }
  const cluster = await startLocalCluster({
    ...common,
    listenIp: '127.0.0.1',
    mediaNode: () => ({ announcedAddress: PROXY_ADDRESS }),
  });
  let proxy: ImpairmentProxy | undefined;
  try {
    const edgePort = Number(new URL(firstOf(cluster.edges).url).port);
    // The one worker's WebRTC port is the first of the slice; the others are for pipes.
    const mediaPort = firstOf(cluster.mediaNodes).portSlice.first;
    const link = (protocol: 'udp' | 'tcp', port: number) => ({
      protocol,
      listen: { host: PROXY_ADDRESS, port },
      target: { host: '127.0.0.1', port },
    });
    proxy = await ImpairmentProxy.start({
      links: [link('tcp', edgePort), link('udp', mediaPort), link('tcp', mediaPort)],
      impairment: roundTrip(roundTripMs),
    });
    const running = proxy;
    return {
      cluster,
      edgeUrl: `http://${PROXY_ADDRESS}:${edgePort}`,
      close: async () => {
        await running.close();
        await cluster.stop();
      },
    };
  } catch (error) {
    await proxy?.close();
    await cluster.stop();
    throw error;
  }
}

function firstOf<Item>(items: readonly Item[]): Item {
  const [first] = items;
  if (first === undefined) throw new Error('the cluster is empty');
  return first;
}

function summariseStep(timings: readonly JoinTimings[], step: JoinStep): Summary | undefined {
  return summarise(timings.map((timing) => timing[step]).filter((value) => value !== undefined));
}

function summariseSteps(timings: readonly JoinTimings[]): Partial<Record<JoinStep, Summary>> {
  const steps: Partial<Record<JoinStep, Summary>> = {};
  for (const name of JOIN_STEP_NAMES) {
    const summary = summariseStep(timings, name);
    if (summary !== undefined) steps[name] = summary;
  }
  return steps;
}

/** The client's steps; spelled here since importing its module would pull the whole client into Node. */
const JOIN_STEP_NAMES: readonly JoinStep[] = [
  'socketOpen',
  'prepared',
  'joinSent',
  'joinAnswered',
  'transportsCreated',
  'consumed',
  'iceConnected',
  'dtlsConnected',
  'firstAudioPacket',
  'firstFrame',
];
