/** Attackers in the meeting itself, who share its budget with everybody else there. */
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { limitedByRooms } from '../limited-by-rooms.ts';
import { JoinRefused, Stranger } from '../stranger.ts';

const CROWD = 60;
/** How many of the crowd publish a microphone: their mutes alone exhaust what a room may deliver. */
const WITH_MICROPHONE = 8;
/** How many requests each of them has pending at a time. */
const AT_ONCE = 10;

/** How long the crowd continues once the room's budget is spent, in milliseconds. */
const SHORT_FOR_MS = 2_000;

/** The crowd's requests in turn, which cost the room deliveries, store operations, bytes and mediasoup calls. */
function request(stranger: Stranger, trackId: string, count: number): Promise<string> {
  if (trackId !== '') return stranger.ask('track.pause', { trackId, paused: count % 2 === 0 });
  if (count % 4 !== 0) return stranger.ask('roster.page', { cursor: '' });
  return stranger.ask('consumers.update', {
    consumers: stranger.joined.media.consumers.map(({ consumerId }) => ({
      consumerId,
      paused: count % 8 === 0,
      priority: 1 + (count % 255),
    })),
  });
}

async function spend(world: HostileWorld, isOver: () => boolean, publishes: boolean): Promise<Answers> {
  const answers = new Set<string>();
  while (!isOver()) {
    let stranger: Stranger;
    try {
      stranger = await Stranger.join(world);
    } catch (error) {
      if (!(error instanceof JoinRefused)) throw error;
      answers.add(error.code);
      continue;
    }
    const { trackId } = publishes ? await stranger.publish() : { trackId: '' };
    for (let round = 0; !isOver() && !stranger.client.isClosed; round += 1) {
      const pending = Array.from({ length: AT_ONCE }, (_, index) =>
        request(stranger, trackId, round * AT_ONCE + index),
      );
      for (const answer of await Promise.all(pending)) answers.add(answer);
    }
    await stranger.leave();
  }
  return [...answers];
}

export const CROWDED_ROOM: Attack = {
  name: 'a room full of attackers',
  world: 'plain',
  description:
    'joins the meeting sixty times and spends its budget on mutes, roster pages and changes of consumers',
  allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed', 'limit_reached', 'timed_out', 'no_media_node'],
  strike: async (world, isTimeUp) => {
    let shortUntilMs = Number.POSITIVE_INFINITY;
    const isOver = (): boolean => isTimeUp() && performance.now() > shortUntilMs;
    const limitedBefore = await limitedByRooms(world);
    const isShort = (limited: number): boolean => limited > limitedBefore;
    const watching = until('the room’s budget is spent', () => limitedByRooms(world), isShort).then(() => {
      shortUntilMs = performance.now() + SHORT_FOR_MS;
    });
    const answers = await Promise.all(
      Array.from({ length: CROWD }, (_, index) => spend(world, isOver, index < WITH_MICROPHONE)),
    );
    await watching;
    return [...new Set(answers.flat())];
  },
};
