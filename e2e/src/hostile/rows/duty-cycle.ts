/** Those who send far too much, and pause in between, so that they look modest on the whole. */
import { Bot, endMediaLinks } from '@plenary/loadtest/bots';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { MEETING_ROOM } from '../meeting-room.ts';

/** A packet each millisecond: 10.4 Mbit/s, 1.9 times what one camera may have (SPEC MS5). */
const PAYLOAD_BYTES = 1_300;
const ON_MS = 2_000;
const OFF_MS = 1_500;
/** The pause comes after some 16 s. */
const PAUSED_WITHIN_MS = 90_000;

export const DUTY_CYCLE: Attack = {
  name: 'a camera that sends nearly twice its bitrate, with pauses',
  world: 'plain',
  does: 'sends 10.4 Mbit/s to everybody for two seconds, nothing for one and a half, and so on, until it is stopped',
  gets: ['sends more than it may: warned', 'sends more than it may: paused'],
  strike: async (world) => {
    const bot = await Bot.join({
      edgeUrl: world.target.publicUrl,
      roomId: MEETING_ROOM,
      name: 'Mallory',
      token: world.token({ subject: 'mallory-pulsing' }),
      canPublish: true,
      subscribes: false,
    });
    const startedMs = performance.now();
    await bot.publish('video', {
      intervalMs: 1,
      payloadBytes: PAYLOAD_BYTES,
      keepsRate: true,
      isSending: () => (performance.now() - startedMs) % (ON_MS + OFF_MS) < ON_MS,
    });
    const isPaused = (told: readonly string[]): boolean => told.some((line) => line.endsWith('paused'));
    const told = await until('the camera to be paused', () => [...bot.problems], isPaused, PAUSED_WITHIN_MS);
    await bot.leave();
    await endMediaLinks();
    return told;
  },
};
