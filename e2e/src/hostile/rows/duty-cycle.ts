/** Publishers who send far too much with pauses in between, so that their average looks modest. */
import type { Attack } from '../attack.ts';
import { publishUntilPaused } from '../publish-until-paused.ts';

/** A packet each millisecond is 10.4 Mbit/s, 1.9 times what one camera may send (SPEC MS5). */
const PAYLOAD_BYTES = 1_300;
const ON_MS = 2_000;
const OFF_MS = 1_500;

export const DUTY_CYCLE: Attack = {
  name: 'a camera that sends nearly twice its bitrate, with pauses',
  world: 'plain',
  description:
    'sends 10.4 Mbit/s to everybody for two seconds, nothing for one and a half, and so on, until it is paused',
  allowedAnswers: ['sends more than it may: warned', 'sends more than it may: paused'],
  strike: (world) => {
    const startedMs = performance.now();
    const isSending = (): boolean => (performance.now() - startedMs) % (ON_MS + OFF_MS) < ON_MS;
    return publishUntilPaused(world, 'mallory-pulsing', [{ payloadBytes: PAYLOAD_BYTES, isSending }]);
  },
};
