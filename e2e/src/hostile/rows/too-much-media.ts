import { readMetric } from '../../harness/metrics.ts';
import type { Attack } from '../attack.ts';
import { publishUntilPaused } from '../publish-until-paused.ts';
import type { Stranger } from '../stranger.ts';
import { flood } from './floods.ts';

/** Some 8 Mbit/s, with a packet each millisecond. */
const CAMERA = { payloadBytes: 1_100 };
/** How many calls a second the node may spend on measuring publishers, whatever is requested (SPEC BU10, MS33). */
const LOOKS_PER_SECOND = 40;

/** How often the node has asked mediasoup for a transport's statistics. */
const looksOf = (operatorUrl: string): Promise<number> =>
  readMetric(operatorUrl, 'plenary_mediasoup_calls_total', { method: 'transport.getStats' });

export const TOO_MUCH_MEDIA: readonly Attack[] = [
  {
    name: 'a publisher of 20 Mbit/s',
    world: 'plain',
    description: 'sends three cameras of 8 Mbit/s to everybody, until it is stopped',
    allowedAnswers: ['sends more than it may: warned', 'sends more than it may: paused'],
    strike: (world) => publishUntilPaused(world, 'mallory-cameras', [CAMERA, CAMERA, CAMERA]),
  },
  {
    name: 'media checks, counted',
    world: 'plain',
    description:
      'asks whether the media node hosts it, for which the node may ask mediasoup only now and then',
    allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed'],
    strike: async (world, isOver) => {
      const { operatorUrl } = world.targetNode;
      const [before, sinceMs] = [await looksOf(operatorUrl), performance.now()];
      const step = (stranger: Stranger): Promise<string> => stranger.ask('media.check', {});
      const answers = await flood(world, { name: '', description: '', step }, isOver);
      const looks = (await looksOf(operatorUrl)) - before;
      const mostLooks = LOOKS_PER_SECOND * Math.ceil((performance.now() - sinceMs) / 1_000);
      return looks <= mostLooks ? answers : [...answers, `${looks} looks, at most ${mostLooks}`];
    },
  },
];
