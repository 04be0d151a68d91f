import type { Browser, BrowserContext, Page } from 'playwright-core';
import { openContext } from '../harness/browser.ts';
import type { PageGaps, PageLook, PageNoticed } from './page/page.ts';

export interface PersonOptions {
  readonly name: string;
  readonly datacenter: string;
  readonly roomId: string;
  /** The only edge that the page knows before it joins. */
  readonly edgeUrl: string;
  readonly pageUrl: string;
  /** Makes a join token. */
  readonly token: () => string;
}

/** A person with a browser context of their own, with camera and voice and the real client. */
export class Person {
  readonly name: string;
  readonly datacenter: string;
  readonly #context: BrowserContext;
  readonly #page: Page;

  private constructor(context: BrowserContext, page: Page, { name, datacenter }: PersonOptions) {
    this.#context = context;
    this.#page = page;
    this.name = name;
    this.datacenter = datacenter;
  }

  /** Joins, and does not wait for the media session to connect. */
  static async join(browser: Browser, options: PersonOptions): Promise<Person> {
    const { name, roomId, edgeUrl, pageUrl, token } = options;
    const context = await openContext(browser, { permissions: ['camera', 'microphone'] });
    try {
      const page = await context.newPage();
      await page.exposeFunction('plenaryToken', token);
      await page.goto(pageUrl);
      await page.evaluate((join) => window.plenaryPerson.join(join), { edgeUrl, roomId, name });
      return new Person(context, page, options);
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  read(): Promise<PageLook> {
    return this.#page.evaluate(() => window.plenaryPerson.read());
  }

  async post(text: string): Promise<void> {
    await this.#page.evaluate((said) => window.plenaryPerson.post(said), text);
  }

  retryFailedPosts(): Promise<void> {
    return this.#page.evaluate(() => window.plenaryPerson.retryFailedPosts());
  }

  watch(): Promise<void> {
    return this.#page.evaluate(() => window.plenaryPerson.watch());
  }

  gaps(): Promise<PageGaps> {
    return this.#page.evaluate(() => window.plenaryPerson.gaps());
  }

  /** What this person noticed since `watch`. */
  noticed(): Promise<PageNoticed> {
    return this.#page.evaluate(() => window.plenaryPerson.noticed());
  }

  warnings(): Promise<readonly string[]> {
    return this.#page.evaluate(() => window.plenaryPerson.warnings());
  }

  leave(): Promise<void> {
    return this.#page.evaluate(() => window.plenaryPerson.leave());
  }

  close(): Promise<void> {
    return this.#context.close();
  }
}
