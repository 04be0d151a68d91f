import type { Browser, BrowserContext, Page } from 'playwright-core';
import { openContext } from './browser.ts';
import { LayerMessages } from './layer-messages.ts';
import './page-meeting.ts';
import type { Reception } from './page-meeting.ts';
import { until } from './until.ts';

/** A person with a browser context of their own, who uses the app's buttons. */
export class Participant {
  readonly page: Page;
  readonly name: string;
  /** Uncaught errors of the page, which tests expect to be none. */
  readonly errors: string[] = [];
  readonly layerMessages: LayerMessages;
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext, page: Page, name: string) {
    this.#context = context;
    this.page = page;
    this.name = name;
    this.layerMessages = new LayerMessages(page);
    page.on('pageerror', (error) => this.errors.push(error.message));
  }

  /** Opens the pre-join page of a room on an edge. */
  static async open(
    browser: Browser,
    edgeUrl: string,
    roomId: string,
    name: string,
    viewport = { width: 1280, height: 800 },
  ): Promise<Participant> {
    const context = await openContext(browser, { viewport, permissions: ['camera', 'microphone'] });
    const page = await context.newPage();
    // Both datacenters are this machine, so round trips would measure noise. Without them the edge chooses its own datacenter.
    await page.route('**/api/ping', (route) => route.abort());
    const participant = new Participant(context, page, name);
    await page.goto(`${edgeUrl}/r/${roomId}`);
    await page.getByTestId('name-input').fill(name);
    return participant;
  }

  async join(): Promise<void> {
    await this.page.getByTestId('join-button').click();
    await this.untilJoined();
  }

  async untilJoined(): Promise<void> {
    await until(
      `${this.name} is in the room`,
      () => this.page.evaluate(() => globalThis.plenary?.getSnapshot().connection.phase),
      (phase) => phase === 'joined',
    );
  }

  async leave(): Promise<void> {
    await this.page.getByTestId('leave-button').click();
    await until(
      `${this.name} has left`,
      () => this.page.getByTestId('leave-button').count(),
      (count) => count === 0,
    );
  }

  /** The names on the other people's tiles. */
  async tilesOfOthers(): Promise<string[]> {
    const tiles = await this.page
      .getByTestId('tile')
      .evaluateAll((elements) => elements.map((element) => element.getAttribute('data-peer-name') ?? ''));
    return tiles.filter((name) => name !== this.name).sort();
  }

  /** Waits until exactly these others have tiles. */
  async untilOthersAre(names: readonly string[]): Promise<void> {
    const wanted = JSON.stringify([...names].sort());
    await until(
      `${this.name} sees tiles of ${wanted}`,
      () => this.tilesOfOthers(),
      (tiles) => JSON.stringify(tiles) === wanted,
    );
  }

  /** Decoded frames and audio energy, summed over all remote tracks. */
  async reception(): Promise<Reception> {
    return this.page.evaluate(async () => {
      const stats = await globalThis.plenary?.stats();
      const received = stats?.received ?? [];
      return {
        framesDecoded: received.reduce((sum, track) => sum + track.framesDecoded, 0),
        audioEnergy: received.reduce((sum, track) => sum + track.totalAudioEnergy, 0),
      };
    });
  }

  /** Waits until more frames are decoded and more audio energy is received. */
  async untilSeesAndHears(moreFrames = 30): Promise<void> {
    await until(
      `${this.name} hears something`,
      () => this.reception(),
      (now) => now.audioEnergy > 0 && now.framesDecoded > 0,
    );
    const before = await this.reception();
    await until(
      `${this.name} sees ${moreFrames} more frames and hears more`,
      () => this.reception(),
      (now) => now.framesDecoded >= before.framesDecoded + moreFrames && now.audioEnergy > before.audioEnergy,
    );
  }

  /** How many simulcast layers of the own camera may be sent; a browser short of CPU sends fewer. */
  async allowedCameraLayers(): Promise<number | undefined> {
    return this.page.evaluate(async () => {
      const stats = await globalThis.plenary?.stats();
      return stats?.sent.find(({ source }) => source === 'camera')?.allowedLayers;
    });
  }

  async mediaNodeId(): Promise<string | undefined> {
    return this.page.evaluate(() => globalThis.plenary?.getSnapshot().mediaNodeId);
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}
