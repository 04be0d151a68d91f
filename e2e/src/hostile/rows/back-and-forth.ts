/** Those who take a request back before it was answered. */
import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';
import { readMetrics } from '../../harness/metrics.ts';
import { Stranger } from '../stranger.ts';

const PAIRS = 30;
/** Each of so many subscriptions at most makes a consumer of each track until it is told of what it has. */
const MOST_CONSUMERS = 1_000;

export const BACK_AND_FORTH: Attack = {
  name: 'subscriptions that are taken back in the same turn',
  world: 'plain',
  does: 'subscribes to every track of the meeting and unsubscribes from all that it has, thirty times in one turn',
  gets: ['ok', 'rate_limited', 'flooding', 'closed', 'limit_reached', 'track_not_found', 'media_unavailable'],
  strike: (world, isOver) =>
    over(isOver, async () => {
      const consumers = async (): Promise<number> =>
        (await readMetrics(world.targetNode.operatorUrl)).get('plenary_media_consumers') ?? 0;
      const stranger = await Stranger.join(world);
      const before = await consumers();
      const trackIds = stranger.joined.room.tracks.map(({ trackId }) => trackId);
      const consumerIds = stranger.joined.media.consumers.map(({ consumerId }) => consumerId);
      const asked = Array.from({ length: PAIRS }, () => [
        stranger.ask('subscribe', { trackIds }),
        stranger.ask('unsubscribe', { consumerIds }),
      ]);
      const answers = await Promise.all(asked.flat());
      const more = (await consumers()) - before;
      await stranger.leave();
      return more <= MOST_CONSUMERS ? answers : [...answers, `${more} more consumers`];
    }),
};
