/** Faults of a client's own network: closed UDP, a new address, a lost WebSocket, sleep. */
import { NO_IMPAIRMENT } from '@plenary/loadtest/impairment';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { launchFreezableBrowser } from './harness/browser.ts';
import type { FreezableBrowser } from './harness/browser.ts';
import { isNothing, leftOver } from './harness/left-over.ts';
import { readMetric } from './harness/metrics.ts';
import { Participant } from './harness/participant.ts';
import { startProxiedCluster } from './harness/proxied-cluster.ts';
import type { ProxiedCluster } from './harness/proxied-cluster.ts';
import { until } from './harness/until.ts';

/**
 * How long a session waits for its client, in milliseconds. A sleep beyond it must not take long, and no standstill of the machine
 * may reach it, because most tests here need sessions that survive.
 */
const RESUME_WITHIN_MS = 10_000;

describe('a client’s own network', () => {
  let proxied: ProxiedCluster;
  let browser: Browser;
  let sleeper: FreezableBrowser;
  const people: Participant[] = [];

  beforeAll(async () => {
    proxied = await startProxiedCluster({
      PLENARY_RESUME_WITHIN_MS: String(RESUME_WITHIN_MS),
    });
    [browser, sleeper] = await Promise.all([launchChromium(), launchFreezableBrowser()]);
  });
  afterEach(async () => {
    for (const proxy of [proxied.udp, proxied.tcp, proxied.edge]) proxy.setImpairment(NO_IMPAIRMENT);
    for (const person of people.splice(0)) await person.close();
    await until('everything is freed', () => leftOver(proxied.cluster), isNothing);
  });
  afterAll(async () => {
    await Promise.all([browser.close(), sleeper.close()]);
    await proxied.stop();
  });

  const closeUdp = (): void => proxied.udp.setImpairment({ ...NO_IMPAIRMENT, lossRate: 1 });

  async function enter(roomId: string, name: string, by = browser): Promise<Participant> {
    const person = await Participant.open(by, proxied.edgeUrl, roomId, name);
    people.push(person);
    await person.join();
    return person;
  }

  async function meet(roomId: string, bobsBrowser = browser): Promise<[Participant, Participant]> {
    const ann = await enter(roomId, 'Ann');
    const bob = await enter(roomId, 'Bob', bobsBrowser);
    await seeEachOther(ann, bob);
    return [ann, bob];
  }

  async function seeEachOther(ann: Participant, bob: Participant): Promise<void> {
    await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
  }

  const mediaOpened = (person: Participant): Promise<number | undefined> =>
    person.page.evaluate(() => globalThis.plenary?.counters.mediaReopened);

  const troubleOf = (viewer: Participant, name: string): Promise<string | null> =>
    viewer.page.locator(`[data-testid=tile][data-peer-name=${name}]`).first().getAttribute('data-trouble');

  /** How many key frames the media node requested because a client is reached by another path. */
  const keyFrameRequests = (): Promise<number> =>
    readMetric(proxied.cluster.mediaNodes[0]?.operatorUrl ?? '', 'plenary_mediasoup_calls_total', {
      method: 'consumer.requestKeyFrame',
    });

  it('[NW1] media flows over TCP when UDP is closed', async () => {
    closeUdp();
    const before = proxied.udp.counts.forwarded;
    await meet('no-udp');
    expect(proxied.udp.counts.forwarded).toBe(before);
    expect(proxied.tcp.counts.forwarded).toBeGreaterThan(100);
  });

  it('[NW1] media continues over TCP when UDP closes in the middle, and nobody leaves the roster', async () => {
    const [ann, bob] = await meet('udp-closes');
    const forwarded = proxied.udp.counts.forwarded;
    expect(forwarded).toBeGreaterThan(100);
    closeUdp();
    await seeEachOther(ann, bob);
  });

  it('[NW2] [NW5] media continues when the client’s address changes', async () => {
    const [ann, bob] = await meet('rebinding');
    const before = await keyFrameRequests();
    proxied.udp.rebind();
    await until('the node asks for pictures', keyFrameRequests, (count) => count > before);
    await seeEachOther(ann, bob);
    expect(await Promise.all([ann, bob].map(mediaOpened))).toEqual([0, 0]);
  });

  it('[NW3] [NW6] media continues while the WebSocket breaks, and buttons work again on the next one', async () => {
    const [ann, bob] = await meet('websocket');
    proxied.edge.dropConnections();
    await bob.page.getByTestId('mic-button').click();
    await until(
      'Ann sees that Bob is muted',
      () => ann.page.evaluate(() => [...(globalThis.plenary?.getSnapshot().remoteTracks.values() ?? [])]),
      (tracks) => tracks.some(({ source, publisherPaused }) => source === 'microphone' && publisherPaused),
    );
    await bob.page.getByTestId('mic-button').click();
    await seeEachOther(ann, bob);
    expect(await Promise.all([ann, bob].map(mediaOpened))).toEqual([0, 0]);
  });

  it('[WB7] [WB8] with all paths cut, the page does not claim that anything arrives, and tiles are marked', async () => {
    const [ann, bob] = await meet('all-cut');
    closeUdp();
    // TCP loses nothing, so a delay of a minute stands for a loss.
    for (const proxy of [proxied.tcp, proxied.edge])
      proxy.setImpairment({ ...NO_IMPAIRMENT, delayMs: 60_000 });
    await until(
      'Bob’s page says that nothing arrives',
      () => bob.page.getByTestId('connection-state').innerText(),
      (text) => {
        expect(text).not.toContain('Sound and picture arrive');
        return text.includes('Nothing arrives');
      },
    );
    await until(
      'Ann is marked for Bob',
      () => troubleOf(bob, 'Ann'),
      (trouble) => trouble === 'no-signal',
    );
    proxied.edge.dropConnections();
    for (const proxy of [proxied.udp, proxied.tcp, proxied.edge]) proxy.setImpairment(NO_IMPAIRMENT);
    await seeEachOther(ann, bob);
    await until(
      'nobody is marked',
      () => troubleOf(bob, 'Ann'),
      (trouble) => trouble === null,
    );
    await until(
      'the banner is gone',
      () => bob.page.getByTestId('connection-state').innerText(),
      (text) => text === '',
    );
  });

  it('[WB8] a lost person’s tile is marked before the cluster removes the peer', async () => {
    const [ann, bob] = await meet('lost', sleeper.browser);
    sleeper.freeze();
    try {
      await until(
        'Bob is marked for Ann',
        () => troubleOf(ann, 'Bob'),
        (trouble) => trouble === 'no-signal',
      );
    } finally {
      sleeper.thaw();
    }
    await seeEachOther(ann, bob);
    await until(
      'Bob is not marked any more',
      () => troubleOf(ann, 'Bob'),
      (trouble) => trouble === null,
    );
  });

  it('[NW4] a client that slept longer than its session lasts leaves the roster, and joins again when it wakes', async () => {
    const [ann, bob] = await meet('sleep', sleeper.browser);
    sleeper.freeze();
    try {
      await ann.untilOthersAre([]);
    } finally {
      sleeper.thaw();
    }
    await seeEachOther(ann, bob);
  });
});
