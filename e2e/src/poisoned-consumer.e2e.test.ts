import { fileURLToPath } from 'node:url';
import { startPageServer } from '@plenary/loadtest/pages';
import type { PageServer } from '@plenary/loadtest/pages';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { openContext } from './harness/browser.ts';
import type { Poison, PoisonedLook, PoisonedPage } from './harness/poisoned-page.ts';

declare const poisonedPage: PoisonedPage;

let browser: Browser;
let pages: PageServer;

beforeAll(async () => {
  pages = await startPageServer(fileURLToPath(new URL('./harness/poisoned-page.ts', import.meta.url)));
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  await pages.close();
});

const look = (page: Page): Promise<PoisonedLook> => page.evaluate(() => poisonedPage.look());

async function opened(): Promise<Page> {
  const page = await (await openContext(browser)).newPage();
  await page.goto(pages.url);
  return page;
}

async function publish(page: Page, trackId: string, poison?: Poison): Promise<void> {
  await page.evaluate(
    ([id, what]) => {
      poisonedPage.publish(id, what);
    },
    [trackId, poison] as const,
  );
}

async function until(page: Page, trackId: string, status: string): Promise<void> {
  await page.waitForFunction(([id, wanted]) => poisonedPage.look().statuses[id] === wanted, [
    trackId,
    status,
  ] as const);
}

describe('Chromium is offered a consumer that it cannot take', () => {
  test.each<Poison>(['line-end', 'clashing-id', 'refused'])(
    '[MS4] in the middle of a meeting (%s): only that one is lost',
    async (poison) => {
      const page = await opened();
      await publish(page, 'voice');
      await page.evaluate(() => poisonedPage.join());
      await until(page, 'voice', 'live');
      await publish(page, 'bad', poison);
      await until(page, 'bad', 'failed');
      await publish(page, 'later');
      await until(page, 'later', 'live');
      expect(await look(page)).toEqual({
        statuses: { voice: 'live', bad: 'failed', later: 'live' },
        tracks: { voice: 'live', later: 'live' },
        failed: ['bad'],
        opened: 0,
      });
      await page.context().close();
    },
  );

  test.each<[Poison, number]>([
    ['line-end', 0],
    ['clashing-id', 0],
    ['refused', 1],
  ])('[MS4] among the first ones (%s): everything else is received', async (poison, reopened) => {
    const page = await opened();
    await publish(page, 'voice');
    await publish(page, 'bad', poison);
    await page.evaluate(() => poisonedPage.join());
    await until(page, 'voice', 'live');
    await until(page, 'bad', 'failed');
    await publish(page, 'later');
    await until(page, 'later', 'live');
    expect(await look(page)).toMatchObject({
      tracks: { voice: 'live', later: 'live' },
      failed: ['bad'],
      opened: reopened,
    });
    await page.context().close();
  });
});
