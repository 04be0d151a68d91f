import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core';
import { treeOf } from '@plenary/cluster/testing/process-tree';
import { CHROMIUM_OPTIONS } from '@plenary/loadtest/browser';

/** Only ends what would hang, in milliseconds: far beyond what a loaded machine needs. Playwright's 30 s would end slow steps. */
const ACT_WITHIN_MS = 90_000;

/** A person's own browser context, whose clicks and waits may take long on a loaded machine. */
export async function openContext(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(ACT_WITHIN_MS);
  return context;
}

/** A browser whose machine can be put to sleep. */
export interface FreezableBrowser {
  readonly browser: Browser;
  /** Stops all its processes (SIGSTOP), as sleep does: nothing runs, and connections stay open. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function launchFreezableBrowser(): Promise<FreezableBrowser> {
  const server = await chromium.launchServer(CHROMIUM_OPTIONS);
  const { pid } = server.process();
  if (pid === undefined) throw new Error('the browser did not start');
  const signal = (name: NodeJS.Signals): void => {
    for (const process_ of treeOf(pid)) process.kill(process_, name);
  };
  return {
    browser: await chromium.connect(server.wsEndpoint()),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    close: () => server.close(),
  };
}
