import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, test } from 'vitest';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

let cluster: LocalCluster;
let browser: Browser;
beforeAll(async () => {
  cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    logLevel: 'warn',
    // Any camera sends many times as much.
    mediaNode: () => ({ env: { PLENARY_MAX_INCOMING_KBIT: '100' } }),
  });
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  await cluster.stop();
});

test('[WB11] a camera that the node paused for sending too much is off on the page, which says why', async () => {
  const url = cluster.edges[0]?.publicUrl ?? '';
  const ann = await Participant.open(browser, url, 'limited', 'Ann');
  const bob = await Participant.open(browser, url, 'limited', 'Bob');
  await ann.join();
  await bob.join();
  const { page } = ann;
  const said = page.getByText('because this device sends more than the meeting allows');
  await until(
    'the page says why',
    () => said.count(),
    (count) => count > 0,
  );
  const devices = (): Promise<boolean[]> =>
    page.evaluate(() =>
      [...(globalThis.plenary?.getSnapshot().localTracks.values() ?? [])].map(
        ({ mediaTrack }) => mediaTrack !== null,
      ),
    );
  await until(
    'no device is captured any more',
    devices,
    (captured) => captured.length === 2 && !captured.includes(true),
  );
  await until(
    'the camera’s button says that it is off',
    () => page.getByRole('button', { name: 'Switch camera on' }).count(),
    (count) => count === 1,
  );
  await ann.close();
  await bob.close();
});
