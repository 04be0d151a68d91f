/** The page in real browsers: it switches on nothing that the person did not want, and says only what is true. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

/** The limit of a room here. */
const MOST_PEOPLE = 2;

/** `answer` lets the browser's pending question be answered; `captured` holds every captured track. */
declare global {
  var captured: MediaStreamTrack[] | undefined;
  var answer: (() => void) | undefined;
}

describe('the page', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  let edgeUrl: string;
  const people: Participant[] = [];

  beforeAll(async () => {
    cluster = await startLocalCluster({
      edges: 1,
      mediaNodes: 1,
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({ env: { PLENARY_MAX_PEERS_PER_ROOM: String(MOST_PEOPLE) } }),
    });
    edgeUrl = cluster.edges[0]?.publicUrl ?? '';
    browser = await launchChromium();
  });
  afterEach(async () => {
    for (const person of people.splice(0)) await person.close();
  });
  afterAll(async () => {
    await browser.close();
    await cluster.stop();
  });

  async function open(roomId: string, name: string): Promise<Participant> {
    const person = await Participant.open(browser, edgeUrl, roomId, name);
    people.push(person);
    return person;
  }

  async function enter(roomId: string, name: string): Promise<Participant> {
    const person = await open(roomId, name);
    await person.join();
    return person;
  }

  const isOn = (page: Page, button: 'mic-button' | 'camera-button'): Promise<string | null> =>
    page.getByTestId(button).getAttribute('aria-pressed');
  const untilIs = (page: Page, button: 'mic-button' | 'camera-button', on: boolean): Promise<unknown> =>
    until(
      `${button} is ${on ? 'on' : 'off'}`,
      () => isOn(page, button),
      (pressed) => pressed === String(on),
    );
  const others = (person: Participant): Promise<{ source: string; publisherPaused: boolean }[]> =>
    person.page.evaluate(() =>
      [...(globalThis.plenary?.getSnapshot().remoteTracks.values() ?? [])].map(
        ({ source, publisherPaused }) => ({ source, publisherPaused }),
      ),
    );

  /** Waits until one person knows the other by their current peer id, and not by the one before a reload. */
  async function untilKnows(person: Participant, other: Participant): Promise<void> {
    const peerId = await other.page.evaluate(() => globalThis.plenary?.getSnapshot().self?.peerId);
    await until(
      `${person.name} knows ${other.name} as ${peerId}`,
      () =>
        person.page.evaluate(() => {
          const snapshot = globalThis.plenary?.getSnapshot();
          return [...(snapshot?.room.peers.keys() ?? [])].filter((id) => id !== snapshot?.self?.peerId);
        }),
      (others) => others.join() === peerId,
    );
  }

  /** Delays the browser's answer until the test gives it, as a person at a prompt does. */
  async function holdAnswers(
    { page, name }: Participant,
    question: 'getUserMedia' | 'getDisplayMedia',
  ): Promise<void> {
    await page.addInitScript((asking) => {
      const { mediaDevices } = navigator;
      const ask = mediaDevices[asking].bind(mediaDevices);
      globalThis.captured = [];
      const answered = new Promise<void>((resolve) => {
        globalThis.answer = resolve;
      });
      mediaDevices[asking] = async (constraints) => {
        await answered;
        const stream = await ask(constraints);
        globalThis.captured?.push(...stream.getTracks());
        return stream;
      };
    }, question);
    await page.reload();
    await page.getByTestId('name-input').fill(name);
  }

  const answer = (page: Page): Promise<void> => page.evaluate(() => globalThis.answer?.());
  const liveTracks = (page: Page): Promise<string[] | undefined> =>
    page.evaluate(() =>
      globalThis.captured?.filter(({ readyState }) => readyState === 'live').map(({ kind }) => kind),
    );
  const untilCaptured = (page: Page): Promise<unknown> =>
    until(
      'the browser has captured something',
      () => page.evaluate(() => globalThis.captured?.length ?? 0),
      (tracks) => tracks > 0,
    );

  it('[WB5] a microphone and a camera that were switched off stay off over reload and rejoin', async () => {
    const ann = await enter('reload', 'Ann');
    const bob = await enter('reload', 'Bob');
    await bob.untilSeesAndHears();
    await ann.page.getByTestId('mic-button').click();
    await ann.page.getByTestId('camera-button').click();
    await ann.page.reload();
    await untilIs(ann.page, 'mic-button', false);
    await untilIs(ann.page, 'camera-button', false);
    await ann.join();
    await untilKnows(bob, ann);
    expect((await others(bob)).filter(({ publisherPaused }) => !publisherPaused)).toEqual([]);
    await ann.leave();
    await ann.page.getByTestId('rejoin-button').click();
    await untilIs(ann.page, 'mic-button', false);
    await untilIs(ann.page, 'camera-button', false);
    await ann.join();
    await ann.page.getByTestId('mic-button').click();
    await ann.page.getByTestId('camera-button').click();
    await bob.untilSeesAndHears();
    expect([...ann.errors, ...bob.errors]).toEqual([]);
  });

  it('[WB4] a late permission does not switch on what was muted meanwhile', async () => {
    const bob = await enter('late', 'Bob');
    const ann = await open('late', 'Ann');
    await holdAnswers(ann, 'getUserMedia');
    await ann.join();
    await ann.page.getByTestId('mic-button').click();
    await answer(ann.page);
    await untilCaptured(ann.page);
    await until(
      'Bob gets Ann’s camera',
      () => others(bob),
      (tracks) => tracks.some(({ source }) => source === 'camera'),
    );
    expect(await isOn(ann.page, 'mic-button')).toBe('false');
    await until(
      'only her camera is captured',
      () => liveTracks(ann.page),
      (tracks) => tracks?.join() === 'video',
    );
    expect((await others(bob)).filter(({ source }) => source === 'microphone')).toEqual([]);
  });

  it('[WB39] while the system pauses sound the page shows a button, until sound plays again', async () => {
    const ann = await enter('paused', 'Ann');
    await enter('paused', 'Bob');
    await until(
      'Ann’s loudspeaker plays Bob',
      () => ann.page.evaluate(() => [...document.querySelectorAll('audio')].map(({ paused }) => paused)),
      (paused) => paused.join() === 'false',
    );
    const pause = (): Promise<void> =>
      ann.page.evaluate(() => {
        for (const sound of document.querySelectorAll('audio')) sound.pause();
      });
    await pause();
    await ann.page.getByTestId('hear-button').click();
    await ann.page.getByTestId('hear-button').waitFor({ state: 'detached' });
    await pause();
    await ann.page.getByTestId('hear-button').waitFor();
    // Some systems resume playback automatically.
    await ann.page.evaluate(async () => {
      for (const sound of document.querySelectorAll('audio')) await sound.play();
    });
    await ann.page.getByTestId('hear-button').waitFor({ state: 'detached' });
  });

  it('[WB65] while the browser refuses to play sound the page shows a button, with which it plays', async () => {
    const ann = await open('refused', 'Ann');
    await enter('refused', 'Bob');
    await ann.page.evaluate(() => {
      const { play } = HTMLMediaElement.prototype;
      globalThis.answer = () => {
        HTMLMediaElement.prototype.play = play;
      };
      HTMLMediaElement.prototype.play = function (): Promise<void> {
        this.autoplay = false;
        return Promise.reject(new DOMException('The user did not interact.', 'NotAllowedError'));
      };
    });
    await ann.join();
    await ann.page.getByTestId('hear-button').waitFor();
    await ann.page.evaluate(() => globalThis.answer?.());
    await ann.page.getByTestId('hear-button').click();
    await ann.page.getByTestId('hear-button').waitFor({ state: 'detached' });
    const paused = await ann.page.evaluate(() =>
      [...document.querySelectorAll('audio')].map((sound) => sound.paused),
    );
    expect(paused).toEqual([false]);
  });

  it('[WB6] a screen that is chosen after leaving is released, and not shared at the next join', async () => {
    const ann = await open('picker', 'Ann');
    await holdAnswers(ann, 'getDisplayMedia');
    await ann.join();
    await ann.page.getByTestId('screen-button').click();
    await ann.leave();
    await answer(ann.page);
    await untilCaptured(ann.page);
    await until(
      'the screen is released',
      () => liveTracks(ann.page),
      (tracks) => tracks?.length === 0,
    );
    await ann.page.getByTestId('rejoin-button').click();
    await ann.join();
    expect(await ann.page.locator('[data-testid=tile][data-source=screen]').count()).toBe(0);
  });

  it('[WB21] a duplicated tab shows the first tab as another person, and itself once after a reload', async () => {
    const ann = await enter('twice', 'Ann');
    const [copy] = await Promise.all([
      ann.page.waitForEvent('popup'),
      ann.page.evaluate(() => void window.open(location.href)),
    ]);
    const enterCopy = async (): Promise<void> => {
      await copy.getByTestId('name-input').fill('Ann’s copy');
      await copy.getByTestId('join-button').click();
      await copy.getByTestId('leave-button').waitFor();
    };
    const others = () =>
      copy
        .getByTestId('tile')
        .evaluateAll((tiles) => tiles.map((tile) => tile.getAttribute('data-peer-name') ?? '').sort());
    for (const come of [() => Promise.resolve(null), () => copy.reload()]) {
      await come();
      await enterCopy();
      await until('the copy shows both', others, (names) => names.join() === 'Ann,Ann’s copy');
      await until(
        'the copy counts both',
        () => copy.getByTestId('people-count').getAttribute('data-count'),
        (count) => count === '2',
      );
    }
  });

  it('[WB16] [WB56] a missing browser feature does not break the page, and a page that fails says so and leaves', async () => {
    const bob = await enter('fails', 'Bob');
    const ann = await open('fails', 'Ann');
    await ann.page.addInitScript(() => {
      Reflect.deleteProperty(Promise, 'withResolvers');
      // Firefox does this when the microphone has another sample rate than the loudspeaker.
      AudioContext.prototype.createMediaStreamSource = () => {
        throw new DOMException('different sample-rate', 'NotSupportedError');
      };
    });
    await ann.page.reload();
    await ann.page.getByTestId('preview-video').waitFor();
    await ann.page.getByTestId('name-input').fill('Ann');
    await ann.join();
    await bob.untilOthersAre(['Ann']);
    await ann.page.evaluate(() => {
      globalThis.captured = [...(globalThis.plenary?.getSnapshot().localTracks.values() ?? [])].flatMap(
        ({ mediaTrack }) => mediaTrack ?? [],
      );
      Object.defineProperty(Intl.DateTimeFormat.prototype, 'format', {
        get: () => {
          throw new TypeError('a fault of the page');
        },
      });
      globalThis.plenary?.postChat('a message has a time');
    });
    await ann.page.getByTestId('chat-button').click();
    await ann.page.getByTestId('breakdown').waitFor();
    expect(await ann.page.getByRole('alert').innerText()).toContain('nobody hears or sees you');
    await until(
      'nothing is captured any more',
      () => liveTracks(ann.page),
      (tracks) => tracks?.length === 0,
    );
    await bob.untilOthersAre([]);
  });

  it('[WB9] a full meeting says so at once, and what to do', async () => {
    await enter('full', 'Ann');
    await enter('full', 'Bob');
    const cy = await open('full', 'Cy');
    await cy.page.getByTestId('join-button').click();
    await cy.page.getByTestId('rejoin-button').waitFor();
    expect(await cy.page.getByRole('alert').innerText()).toContain('The meeting is full');
  });

  it('[WB19] combining marks stacked on a letter do not cover another message', async () => {
    const [ann, bob] = [await enter('tower', 'Ann'), await enter('tower', 'Bob')];
    // A person's own pending message is another element.
    const messages = bob.page.locator('[data-testid=chat-message][data-status=posted]');
    const say = async (person: Participant, text: string, count: number): Promise<void> => {
      await person.page.evaluate((chosen) => globalThis.plenary?.postChat(chosen), text);
      await until(
        `Bob sees ${count} messages`,
        () => messages.count(),
        (shown) => shown === count,
      );
    };
    await bob.page.getByTestId('chat-button').click();
    await say(bob, 'a message that others want to read '.repeat(4), 1);
    const before = await messages.first().screenshot({ animations: 'disabled' });
    await say(ann, 'a'.padEnd(63, '\u0301').repeat(20), 2);
    expect(await messages.first().screenshot({ animations: 'disabled' })).toEqual(before);
  });

  it('[WB10] [WB47] a person who spells a room in capitals, or pastes its link, is in the same room', async () => {
    const ann = await enter('TEAM', 'Ann');
    expect(new URL(ann.page.url()).pathname).toBe('/r/team');
    const bob = await open('other', 'Bob');
    await bob.page.goto(edgeUrl);
    await bob.page.getByTestId('room-input').fill('https://elsewhere.test/r/team');
    expect(await bob.page.getByTestId('room-meaning').innerText()).toContain('elsewhere.test');
    expect(await bob.page.getByTestId('create-button').isDisabled()).toBe(true);
    await bob.page.getByTestId('room-input').fill(`${edgeUrl}/r/Team`);
    await bob.page.getByTestId('create-button').click();
    await bob.page.getByTestId('name-input').fill('Bob');
    await bob.join();
    await ann.untilOthersAre(['Bob']);
  });
});
