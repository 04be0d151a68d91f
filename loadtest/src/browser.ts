import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser, LaunchOptions } from 'playwright-core';

/** Debian's path; `PLENARY_CHROMIUM` names another one. */
const CHROMIUM = process.env['PLENARY_CHROMIUM'] ?? '/usr/bin/chromium';

/** Only a hanging browser takes this long to start, in milliseconds, also on a busy machine. */
const START_WITHIN_MS = 90_000;

/** Options of every Chromium: headless, with a fake camera and a microphone that beeps once a second. */
export const CHROMIUM_OPTIONS: LaunchOptions = {
  executablePath: CHROMIUM,
  timeout: START_WITHIN_MS,
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

/**
 * Starts a headless Chromium with fake devices.
 * @throws Error saying how to get one
 */
export async function launchChromium(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `There is no Chromium at ${CHROMIUM}. Run \`npm run setup\`, or name one in PLENARY_CHROMIUM.`,
    );
  }
  return chromium.launch(CHROMIUM_OPTIONS);
}
