/** An IPv6 site that joins from a new network each time, besides a school behind one IPv4 address. */
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { PROXY_ADDRESS } from '../hostile-world.ts';
import { limitedByRooms } from '../limited-by-rooms.ts';
import { HandshakeRefused } from '../raw-client.ts';
import { JoinRefused, Stranger } from '../stranger.ts';

/** How many joins of the site are pending at a time. */
const FLOWS = 24;
/** The pupils make some four joins a second together. */
const PUPILS = 2;
/** How long it continues once the room's budget is spent, in milliseconds. */
const SHORT_FOR_MS = 3_000;
/** On a machine too slow to spend the budget the attack ends after this time, in milliseconds, and shows less. */
const SHORT_WITHIN_MS = 20_000;

/** Joins with the address that the edge's proxy reports. @returns `ok`, or the answer of a refusal */
async function joinAndLeave(world: HostileWorld, address: string, roomId: string): Promise<string> {
  try {
    const headers = { 'x-forwarded-for': address };
    const stranger = await Stranger.join(world, { roomId, localAddress: PROXY_ADDRESS, headers });
    await stranger.leave();
    return 'ok';
  } catch (error) {
    if (error instanceof JoinRefused) return error.code;
    if (error instanceof HandshakeRefused) return error.message;
    throw error;
  }
}

export const SITE_BESIDE_SCHOOL: Attack = {
  name: 'joins from new networks of one IPv6 site, beside a school',
  world: 'plain',
  description:
    'joins and leaves without end, each time from another /64 of one /48, in the room that pupils of one IPv4 address join',
  allowedAnswers: [
    'ok',
    'rate_limited',
    'timed_out',
    'closed',
    'refused 403',
    'refused 429',
    'refused 503',
    'pupil: ok',
  ],
  strike: async (world, isTimeUp): Promise<Answers> => {
    const before = await limitedByRooms(world);
    let untilMs = performance.now() + SHORT_WITHIN_MS;
    let isShort = false;
    const isOver = (): boolean => isTimeUp() && performance.now() > untilMs;
    let network = 0;
    const site = (): Promise<string> => {
      network += 1;
      return joinAndLeave(world, `2001:db8:77:${network.toString(16)}::1`, 'school');
    };
    const pupil = async (): Promise<string> => {
      const answer = await joinAndLeave(world, '198.51.100.77', 'school');
      if (!isShort && (await limitedByRooms(world)) > before) {
        isShort = true;
        untilMs = performance.now() + SHORT_FOR_MS;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      return `pupil: ${answer}`;
    };
    const answers = await Promise.all([
      ...Array.from({ length: FLOWS }, () => repeatUntil(isOver, site)),
      ...Array.from({ length: PUPILS }, () => repeatUntil(isOver, pupil)),
    ]);
    return [...new Set(answers.flat())];
  },
};
