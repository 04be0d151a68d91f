import { chromium } from 'playwright-core';
import type { Browser, LaunchOptions } from 'playwright-core';
import { treeOf } from './process-tree.ts';

/** Debian's Chromium; `PLENARY_CHROMIUM` names another one. */
const EXECUTABLE = process.env['PLENARY_CHROMIUM'] ?? '/usr/bin/chromium';

const OPTIONS: LaunchOptions = {
  executablePath: EXECUTABLE,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--auto-select-desktop-capture-source=Entire screen',
    '--autoplay-policy=no-user-gesture-required',
  ],
};

/** Real Chromium with a fake camera and microphone, which beeps once a second. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch(OPTIONS);
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
  const server = await chromium.launchServer(OPTIONS);
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
