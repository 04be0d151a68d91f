import { Bot, endMediaLinks } from '@plenary/loadtest/bots';
import { until } from '../../harness/until.ts';
import type { Attack } from '../attack.ts';
import { MEETING_ROOM } from '../hostile-world.ts';
import type { Stranger } from '../stranger.ts';
import { flood } from './floods.ts';

/** Each of these is some 8 Mbit/s: a packet a millisecond. */
const CAMERAS = 3;
const PAYLOAD_BYTES = 1_100;
/** Far beyond the eight seconds that it takes. */
const PAUSED_WITHIN_MS = 60_000;
/** Calls a second by which the node may look at what people send, whatever is asked of it (SPEC BU10, MS5). */
const LOOKS_PER_SECOND = 40;

/** So often the node has asked mediasoup for statistics of a transport. */
async function looksOf(operatorUrl: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', operatorUrl))).text();
  const [, count = '0'] =
    /^plenary_mediasoup_calls_total\{method="transport\.getStats"\} (\d+)/m.exec(text) ?? [];
  return Number(count);
}

export const TOO_MUCH_MEDIA: readonly Attack[] = [
  {
    name: 'a publisher of 20 Mbit/s',
    world: 'plain',
    does: 'sends three cameras of 8 Mbit/s to everybody, until it is stopped',
    gets: ['sends more than it may: warned', 'sends more than it may: paused'],
    strike: async (world) => {
      const bot = await Bot.join({
        edgeUrl: world.target.publicUrl,
        roomId: MEETING_ROOM,
        name: 'Mallory',
        token: world.token({ subject: 'mallory-cameras' }),
        canPublish: true,
        subscribes: false,
      });
      for (let camera = 0; camera < CAMERAS; camera += 1)
        await bot.publish('video', { intervalMs: 1, payloadBytes: PAYLOAD_BYTES, keepsRate: true });
      const isPaused = (told: readonly string[]): boolean => told.some((line) => line.endsWith('paused'));
      const told = await until('the flood to be paused', () => [...bot.problems], isPaused, PAUSED_WITHIN_MS);
      await bot.leave();
      await endMediaLinks();
      return told;
    },
  },
  {
    name: 'asking after media, counted',
    world: 'plain',
    does: 'asks whether the media node hosts it, which the node may ask mediasoup about only now and then',
    gets: ['ok', 'rate_limited', 'flooding', 'closed'],
    strike: async (world, isOver) => {
      const { operatorUrl } = world.targetNode;
      const [before, sinceMs] = [await looksOf(operatorUrl), performance.now()];
      const step = (stranger: Stranger): Promise<string> => stranger.ask('media.check', {});
      const answers = await flood(world, { name: '', does: '', step }, isOver);
      const looks = (await looksOf(operatorUrl)) - before;
      const mostLooks = LOOKS_PER_SECOND * Math.ceil((performance.now() - sinceMs) / 1_000);
      return looks <= mostLooks ? answers : [...answers, `${looks} looks, at most ${mostLooks}`];
    },
  },
];
