import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core';
import { treeOf } from '@plenary/cluster/testing/process-tree';
import { CHROMIUM_OPTIONS } from '@plenary/loadtest/browser';

/** Far beyond what a loaded machine needs: it only ends what would hang. Playwright's own 30 s would end what is slow. */
const ACT_WITHIN_MS = 90_000;

/** A browser of somebody's own, in whose pages whatever is clicked and waited for may take its time. */
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
  /** Stops all its processes (SIGSTOP), as sleep does: nothing runs, and what was open stays open. */
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
