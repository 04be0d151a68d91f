/** Clients that undo a request before it is answered. */
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { readMetrics } from '../../harness/metrics.ts';
import { Stranger } from '../stranger.ts';

const PAIRS = 30;
/** At most this many consumers: each subscription may create one for each track until the client knows them. */
const MOST_CONSUMERS = 1_000;

export const BACK_AND_FORTH: Attack = {
  name: 'subscriptions that are undone in the same turn',
  world: 'plain',
  description:
    'subscribes to every track of the meeting and unsubscribes from all consumers, thirty times in one turn',
  allowedAnswers: [
    'ok',
    'rate_limited',
    'flooding',
    'closed',
    'limit_reached',
    'track_not_found',
    'media_unavailable',
  ],
  strike: (world, isOver) =>
    repeatUntil(isOver, async () => {
      const consumers = async (): Promise<number> =>
        (await readMetrics(world.targetNode.operatorUrl)).get('plenary_media_consumers') ?? 0;
      const stranger = await Stranger.join(world);
      const before = await consumers();
      const trackIds = stranger.joined.room.tracks.map(({ trackId }) => trackId);
      const consumerIds = stranger.joined.media.consumers.map(({ consumerId }) => consumerId);
      const pending = Array.from({ length: PAIRS }, () => [
        stranger.ask('subscribe', { trackIds }),
        stranger.ask('unsubscribe', { consumerIds }),
      ]);
      const answers = await Promise.all(pending.flat());
      const more = (await consumers()) - before;
      await stranger.leave();
      return more <= MOST_CONSUMERS ? answers : [...answers, `${more} more consumers`];
    }),
};
