/** The page's texts and states while a path is cut, a device is lost or a feature is missing, in real browsers. */
import { NO_IMPAIRMENT } from '@plenary/loadtest/impairment';
import { CHROMIUM_OPTIONS, launchChromium } from '@plenary/loadtest/browser';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchFreezableBrowser, openContext } from './harness/browser.ts';
import type { FreezableBrowser } from './harness/browser.ts';
import { Participant } from './harness/participant.ts';
import { startProxiedCluster } from './harness/proxied-cluster.ts';
import type { ProxiedCluster } from './harness/proxied-cluster.ts';
import { until } from './harness/until.ts';

describe('what the page says', () => {
  let proxied: ProxiedCluster;
  let browser: Browser;
  let sleeper: FreezableBrowser;
  const people: Participant[] = [];

  beforeAll(async () => {
    proxied = await startProxiedCluster({});
    [browser, sleeper] = await Promise.all([launchChromium(), launchFreezableBrowser()]);
  });
  afterEach(async () => {
    for (const proxy of [proxied.udp, proxied.tcp, proxied.edge]) proxy.setImpairment(NO_IMPAIRMENT);
    for (const person of people.splice(0)) await person.close();
  });
  afterAll(async () => {
    await Promise.all([browser.close(), sleeper.close()]);
    await proxied.stop();
  });

  async function enter(roomId: string, name: string, by = browser): Promise<Participant> {
    const person = await Participant.open(by, proxied.edgeUrl, roomId, name);
    people.push(person);
    await person.join();
    return person;
  }

  const banner = (person: Participant): Promise<string> =>
    person.page.getByTestId('connection-state').innerText();
  const untilBanner = (person: Participant, says: string): Promise<unknown> =>
    until(
      `${person.name}’s banner says “${says}”`,
      () => banner(person),
      (text) => (says === '' ? text === '' : text.includes(says)),
    );
  const tileOf = (viewer: Participant, name: string, source = 'camera') =>
    viewer.page.locator(`[data-testid=tile][data-peer-name=${name}][data-source=${source}]`);
  const untilTile = (
    viewer: Participant,
    name: string,
    attribute: string,
    value: string | null,
    source = 'camera',
  ): Promise<unknown> =>
    until(
      `${name}’s ${source} has ${attribute} ${value} for ${viewer.name}`,
      () => tileOf(viewer, name, source).getAttribute(attribute),
      (seen) => seen === value,
    );
  const toasts = (page: Page): Promise<string[]> => page.getByTestId('toast').allInnerTexts();

  it('[WB7] with signalling alone cut off, the page says what still works; with media alone cut off, what does not', async () => {
    const ann = await enter('cuts', 'Ann');
    const bob = await enter('cuts', 'Bob');
    await bob.untilSeesAndHears();
    proxied.edge.setImpairment({ ...NO_IMPAIRMENT, delayMs: 60_000 });
    proxied.edge.dropConnections();
    await untilBanner(bob, 'Sound and picture arrive');
    await bob.untilSeesAndHears();
    await untilTile(bob, 'Ann', 'data-trouble', null);
    await bob.page.getByTestId('chat-button').click();
    await bob.page.getByTestId('chat-input').fill('hello');
    await bob.page.getByTestId('chat-input').press('Enter');
    proxied.edge.dropConnections();
    proxied.edge.setImpairment(NO_IMPAIRMENT);
    await untilBanner(bob, '');
    await until(
      'the message is posted',
      () => bob.page.getByTestId('chat-message').getAttribute('data-status'),
      (status) => status === 'posted',
    );
    await ann.page.getByTestId('chat-button').click();
    const messages = ann.page.getByTestId('chat-message');
    await messages.first().waitFor();
    expect(await messages.count()).toBe(1);
    proxied.udp.setImpairment({ ...NO_IMPAIRMENT, lossRate: 1 });
    proxied.tcp.setImpairment({ ...NO_IMPAIRMENT, delayMs: 60_000 });
    await untilBanner(bob, 'Nothing arrives');
    await untilTile(bob, 'Ann', 'data-trouble', 'no-signal');
    proxied.udp.setImpairment(NO_IMPAIRMENT);
    proxied.tcp.setImpairment(NO_IMPAIRMENT);
    await untilBanner(bob, '');
    await untilTile(bob, 'Ann', 'data-trouble', null);
  });

  it('[WB41] a lost person’s shared screen is marked, also when they send nothing else', async () => {
    const ann = await enter('screen', 'Ann');
    const bob = await enter('screen', 'Bob', sleeper.browser);
    await ann.untilSeesAndHears();
    await bob.page.getByTestId('screen-button').click();
    await untilTile(ann, 'Bob', 'data-has-video', 'true', 'screen');
    await bob.page.getByTestId('mic-button').click();
    await bob.page.getByTestId('camera-button').click();
    await untilTile(ann, 'Bob', 'data-has-video', 'false');
    sleeper.freeze();
    try {
      await untilTile(ann, 'Bob', 'data-trouble', 'nothing-new', 'screen');
    } finally {
      sleeper.thaw();
    }
    await untilTile(ann, 'Bob', 'data-trouble', null, 'screen');
  });

  it('[WB26] a device that ends on its own is off at its button and for the others, and stays off', async () => {
    const ann = await enter('ends', 'Ann');
    const bob = await enter('ends', 'Bob');
    await bob.untilSeesAndHears();
    // The browser reports an unplugged device this way.
    await ann.page.evaluate(() => {
      for (const { mediaTrack } of globalThis.plenary?.getSnapshot().localTracks.values() ?? []) {
        mediaTrack?.stop();
        mediaTrack?.dispatchEvent(new Event('ended'));
      }
    });
    await Promise.all([
      untilTile(bob, 'Ann', 'data-has-video', 'false'),
      untilTile(bob, 'Ann', 'data-muted', 'true'),
      // The toast disappears after some seconds, which the other waits may take.
      until(
        'Ann is told',
        () => toasts(ann.page),
        (texts) => texts.join().includes('nobody'),
      ),
    ]);
    for (const button of ['mic-button', 'camera-button'])
      expect(await ann.page.getByTestId(button).getAttribute('aria-pressed')).toBe('false');
    await ann.page.getByTestId('camera-button').click();
    await untilTile(bob, 'Ann', 'data-has-video', 'true');
    await untilTile(bob, 'Ann', 'data-muted', 'true');
  });

  it('[WB32] a microphone that cannot be opened is reported, and the previous one keeps sending', async () => {
    const ann = await enter('switch', 'Ann');
    const bob = await enter('switch', 'Bob');
    await bob.untilSeesAndHears();
    await ann.page.evaluate(() => {
      const { mediaDevices } = navigator;
      const ask = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = (constraints) =>
        JSON.stringify(constraints).includes('"exact"')
          ? Promise.reject(new DOMException('in use', 'NotReadableError'))
          : ask(constraints);
    });
    await ann.page.getByTestId('devices-button').click();
    const select = ann.page.getByTestId('microphone-select');
    const before = await select.inputValue();
    const others = await select
      .locator('option')
      .evaluateAll((options) => options.map((option) => option.getAttribute('value') ?? ''));
    const other = others.find((value) => value !== before);
    if (other === undefined) throw new Error(`only one microphone: ${others.join()}`);
    await select.selectOption(other);
    await until(
      'Ann is told',
      () => toasts(ann.page),
      (texts) => texts.some((text) => text.includes('used by another program')),
    );
    await until(
      'her microphone is the one before',
      () => select.inputValue(),
      (value) => value === before,
    );
    await untilTile(bob, 'Ann', 'data-muted', 'false');
    await bob.untilSeesAndHears();
  });

  it('[WB13] [WB54] a page over plain HTTP says which features the browser denies it, and still shows the meeting', async () => {
    const ann = await enter('plain', 'Ann');
    const { hostname, port } = new URL(proxied.edgeUrl);
    // Loopback addresses count as secure, whatever their scheme, so the page is opened by a name.
    const args = [...(CHROMIUM_OPTIONS.args ?? []), `--host-resolver-rules=MAP plain.test ${hostname}`];
    const plain = await chromium.launch({ ...CHROMIUM_OPTIONS, args });
    try {
      // Insecure pages get no client hints, so the headless browser is recognised as Chrome by its user agent.
      const userAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${plain.version()} Safari/537.36`;
      const context = await openContext(plain, { userAgent });
      const page = await context.newPage();
      await page.goto(`http://plain.test:${port}/r/plain`);
      await page.getByTestId('name-input').fill('Pat');
      const alerts = page.getByRole('alert');
      await alerts.first().waitFor();
      expect(await alerts.allInnerTexts()).toEqual([
        expect.stringMatching(/not opened over https.*still watch/),
      ]);
      await page.getByTestId('join-button').click();
      await until(
        'Pat sees Ann',
        () =>
          page.evaluate(async () => {
            const received = (await globalThis.plenary?.stats())?.received ?? [];
            return received.reduce((sum, track) => sum + track.framesDecoded, 0);
          }),
        (frames) => frames > 30,
      );
      await page.getByTestId('chat-button').click();
      await page.getByTestId('chat-input').fill('I only watch');
      await page.getByTestId('chat-input').press('Enter');
      await until(
        'Ann reads it',
        () => toasts(ann.page),
        (texts) => texts.some((text) => text.includes('I only watch')),
      );
    } finally {
      await plain.close();
    }
  });
});
