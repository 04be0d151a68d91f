/** A page that was opened before an upgrade keeps working: newer edges send it events and entries that it does not know. */
import { fileURLToPath } from 'node:url';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { makeJoinToken, startPageServer } from '@plenary/loadtest/pages';
import type { PageServer } from '@plenary/loadtest/pages';
import { Redis } from 'ioredis';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openContext } from '../harness/browser.ts';
import { Participant } from '../harness/participant.ts';
import { until } from '../harness/until.ts';
import './page.ts';
import type { YesterdaysLook } from './page.ts';

const ROOM = 'upgraded';

describe('a page of yesterday', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  let pages: PageServer;
  let redis: Redis;
  beforeAll(async () => {
    pages = await startPageServer(fileURLToPath(new URL('./page.ts', import.meta.url)));
    cluster = await startLocalCluster({
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({ env: { PLENARY_ALLOWED_ORIGINS: '*' } }),
    });
    redis = new Redis(cluster.redisUrl);
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    redis.disconnect();
    await cluster.stop();
    await pages.close();
  });

  const look = (page: Page): Promise<YesterdaysLook> => page.evaluate(() => globalThis.yesterdaysPage.look());
  const chatOf = ({ page }: Participant) =>
    page.evaluate(() => globalThis.plenary?.getSnapshot().room.chat.map(({ text }) => text) ?? []);
  const placeOf = ({ page }: Participant) =>
    page.evaluate(() => globalThis.plenary?.getSnapshot().room.lastEventId ?? '');
  const phaseOf = ({ page }: Participant) =>
    page.evaluate(() => globalThis.plenary?.getSnapshot().connection.phase ?? '');

  /** Expects both to have every event, and each to receive what the other one writes. */
  async function expectTogether(ann: Participant, yves: Page, occasion: string): Promise<void> {
    await ann.page.evaluate((text) => globalThis.plenary?.postChat(text), `Ann after ${occasion}`);
    await yves.evaluate((text) => globalThis.yesterdaysPage.post(text), `Yves after ${occasion}`);
    for (const who of ['Ann', 'Yves']) {
      const text = `${who} after ${occasion}`;
      await until(
        `Ann reads: ${text}`,
        () => chatOf(ann),
        (chat) => chat.includes(text),
      );
      await until(
        `Yves reads: ${text}`,
        () => look(yves),
        ({ chat }) => chat.includes(text),
      );
    }
    await until(
      'both to be at the same place in the order',
      async () => [await placeOf(ann), (await look(yves)).lastEventId],
      ([left, right]) => left === right,
    );
  }

  it('[PR5][PR18][RE8] keeps its place in the log through unknown events and a rolling upgrade', async () => {
    const [here, there] = cluster.edges;
    if (here === undefined || there === undefined) throw new Error('the cluster has two edges');
    const ann = await Participant.open(browser, here.publicUrl, ROOM, 'Ann');
    await ann.join();
    // The first snapshot then contains an entry.
    await ann.page.getByTestId('hand-button').click();
    const context = await openContext(browser);
    const yves = await context.newPage();
    await yves.goto(pages.url);
    const token = makeJoinToken(cluster, { subject: 'yves', roomId: ROOM, displayName: 'Yves' });
    await yves.evaluate(([url, room, joinToken]) => globalThis.yesterdaysPage.join(url, room, joinToken), [
      there.publicUrl,
      ROOM,
      token,
    ] as const);
    await expectTogether(ann, yves, 'joining');
    const { peerId } = await look(yves);

    // Unknown events do not cause a sync.
    const { syncs } = await look(yves);
    for (let press = 0; press < 8; press += 1) await ann.page.getByTestId('hand-button').click();
    await expectTogether(ann, yves, 'eight hands');
    expect((await look(yves)).syncs).toBe(syncs);

    // An event that no edge here knows either causes one sync, and no more.
    const [log = ''] = await redis.keys(`*/${ROOM}}:log`);
    const meta = log.replace(/log$/, 'meta');
    const previousId = (await redis.hget(meta, 'lastEventId')) ?? '';
    const poll = JSON.stringify({ type: 'poll.opened', options: [{ text: 'yes' }] });
    const id = (await redis.xadd(log, '*', 'previousId', previousId, 'event', poll)) ?? '';
    await redis.hset(meta, 'lastEventId', id);
    await until(
      'Yves to know of it',
      () => look(yves),
      ({ lastEventId }) => lastEventId >= id,
    );
    await until(
      'Ann to know of it',
      () => placeOf(ann),
      (place) => place >= id,
    );
    await expectTogether(ann, yves, 'an event of tomorrow');
    expect((await look(yves)).syncs).toBe(syncs + 1);

    // After the loss the client gets a snapshot, with entries.
    await redis.flushall();
    await until(
      'the room in its new order',
      () => look(yves),
      ({ lastEventId }) => lastEventId > id && lastEventId.endsWith('-0'),
    );
    await expectTogether(ann, yves, 'a loss of the store');

    for (const edge of [there, here]) {
      await edge.restart();
      await until(
        'Yves is back',
        () => look(yves),
        ({ phase }) => phase === 'joined',
      );
      await until(
        'Ann is back',
        () => phaseOf(ann),
        (phase) => phase === 'joined',
      );
      await ann.page.getByTestId('hand-button').click();
      await expectTogether(ann, yves, `the upgrade of ${edge.id}`);
    }
    const now = await look(yves);
    expect(now).toMatchObject({ peerId, peerCount: 2 });
    expect(ann.errors).toEqual([]);
    await context.close();
    await ann.close();
  });
});
