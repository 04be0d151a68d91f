import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

/** Debian's place; `PLENARY_CHROMIUM` names another one. */
const CHROMIUM = process.env['PLENARY_CHROMIUM'] ?? '/usr/bin/chromium';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];

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
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}
