import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import { startPageServer } from '@plenary/loadtest/pages';
import type { PageServer } from '@plenary/loadtest/pages';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Firefox, whyNoFirefox } from './harness/firefox.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** Firefox gathers no ICE candidates on loopback, whatever its preferences are. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const missing =
  whyNoFirefox() ?? (ownAddress === undefined ? 'this machine has no address but loopback' : undefined);

const RECEPTION = z.object({ frames: z.number(), energy: z.number() });

/** Reads the same figures as `Participant` does in Chromium. */
const RECEIVED = `plenary.stats().then(({ received }) => ({
  frames: received.reduce((sum, track) => sum + track.framesDecoded, 0),
  energy: received.reduce((sum, track) => sum + track.totalAudioEnergy, 0),
}))`;

describe.skipIf(missing !== undefined)(
  `Firefox${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let firefox: Firefox;
    beforeAll(async () => {
      firefox = await Firefox.launch();
    });
    afterAll(async () => {
      await firefox.close();
    });

    describe('in a meeting', () => {
      let cluster: LocalCluster;
      let chromium: Browser;
      beforeAll(async () => {
        cluster = await startLocalCluster({
          edges: 1,
          mediaNodes: 1,
          workers: 1,
          readyTimeoutMs: 90_000,
          logLevel: 'warn',
          // Clients open the page on localhost, where browsers allow cameras without HTTPS.
          mediaNode: () =>
            ownAddress === undefined ? {} : { announcedAddress: ownAddress, listenIp: ownAddress },
        });
        chromium = await launchChromium();
      });
      afterAll(async () => {
        await chromium.close();
        await cluster.stop();
      });

      test('[MS9] Firefox and Chromium see and hear each other', async () => {
        const url = cluster.edges[0]?.publicUrl ?? '';
        const ann = await Participant.open(chromium, url, 'browsers', 'Ann');
        await ann.join();
        await firefox.goto(`${url}/r/browsers`);
        await until(
          'the pre-join page',
          () => firefox.evaluate(z.boolean(), `document.querySelector('[data-testid=name-input]') !== null`),
          Boolean,
        );
        // React only notices typing that goes through the native setter and an input event.
        await firefox.evaluate(
          z.boolean(),
          `(() => {
          const input = document.querySelector('[data-testid=name-input]');
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, 'Fay');
          return input.dispatchEvent(new Event('input', { bubbles: true }));
        })()`,
        );
        await firefox.evaluate(
          z.boolean(),
          `(document.querySelector('[data-testid=join-button]').click(), true)`,
        );
        await ann.untilOthersAre(['Fay']);
        await ann.untilSeesAndHears();
        const reception = () => firefox.evaluate(RECEPTION, RECEIVED);
        const before = await until(
          'Fay sees and hears',
          reception,
          ({ frames, energy }) => frames > 0 && energy > 0,
        );
        await until(
          'Fay sees 30 more frames and hears more',
          reception,
          ({ frames, energy }) => frames >= before.frames + 30 && energy > before.energy,
        );
        await ann.leave();
        await ann.close();
      });
    });

    describe('is offered a consumer that it cannot take', () => {
      let pages: PageServer;
      beforeAll(async () => {
        pages = await startPageServer(fileURLToPath(new URL('./harness/poisoned-page.ts', import.meta.url)));
      });
      afterAll(async () => {
        await pages.close();
      });

      const statuses = () =>
        firefox.evaluate(z.record(z.string(), z.string()), 'poisonedPage.look().statuses');
      const publish = (trackId: string, poison?: string) =>
        firefox.evaluate(
          z.literal(true),
          `(poisonedPage.publish('${trackId}', ${JSON.stringify(poison)}), true)`,
        );

      test.each(['line-end', 'clashing-id', 'refused'])(
        '[MS4] (%s) and loses only that one',
        async (poison) => {
          await firefox.goto(pages.url);
          await publish('voice');
          await firefox.evaluate(z.literal(true), 'poisonedPage.join().then(() => true)');
          await until('the voice', statuses, ({ voice }) => voice === 'live');
          await publish('bad', poison);
          await until('the failure of the bad one', statuses, ({ bad }) => bad === 'failed');
          await publish('later');
          await until('the later one', statuses, ({ later }) => later === 'live');
          expect(await firefox.evaluate(z.unknown(), 'poisonedPage.look()')).toEqual({
            statuses: { voice: 'live', bad: 'failed', later: 'live' },
            tracks: { voice: 'live', later: 'live' },
            failed: ['bad'],
            opened: 0,
          });
        },
      );
    });
  },
);
