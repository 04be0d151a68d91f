import { Bot, endMediaLinks } from '@plenary/loadtest/bots';
import type { PublishOptions } from '@plenary/loadtest/bots';
import { until } from '../harness/until.ts';
import type { HostileWorld } from './hostile-world.ts';
import { MEETING_ROOM } from './meeting-room.ts';

/** Far beyond the 8 to 16 s that it takes, in milliseconds. */
const PAUSED_WITHIN_MS = 90_000;

/**
 * Joins the meeting and sends a packet each millisecond on each of its cameras, until the media node pauses one.
 * @returns the warnings that the publisher received
 */
export async function publishUntilPaused(
  world: HostileWorld,
  subject: string,
  cameras: readonly Pick<PublishOptions, 'payloadBytes' | 'isSending'>[],
): Promise<readonly string[]> {
  const bot = await Bot.join({
    edgeUrl: world.target.publicUrl,
    roomId: MEETING_ROOM,
    name: 'Mallory',
    token: world.token({ subject }),
    canPublish: true,
    subscribes: false,
  });
  for (const camera of cameras) await bot.publish('video', { ...camera, intervalMs: 1, keepsRate: true });
  const isPaused = (told: readonly string[]): boolean => told.some((line) => line.endsWith('paused'));
  const told = await until('a camera to be paused', () => [...bot.problems], isPaused, PAUSED_WITHIN_MS);
  await bot.leave();
  await endMediaLinks();
  return told;
}
