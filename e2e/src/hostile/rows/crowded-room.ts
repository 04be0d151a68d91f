/** Attackers who are in the meeting themselves, so that they share its budget with everybody else there. */
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { limitedByRooms } from '../limited-by-rooms.ts';
import { NotLetIn, Stranger } from '../stranger.ts';

const CROWD = 60;
/** Of the crowd: their mutes are enough to use up what a room may deliver. */
const WITH_MICROPHONE = 8;
/** Requests that each of them has under way at a time. */
const AT_ONCE = 10;

/** For how long the crowd goes on when the room's budget is spent. */
const SHORT_FOR_MS = 2_000;

/** What the crowd asks for in turn: what costs the room deliveries, operations of the store, bytes, and calls. */
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
      if (!(error instanceof NotLetIn)) throw error;
      answers.add(error.code);
      continue;
    }
    const { trackId } = publishes ? await stranger.publish() : { trackId: '' };
    for (let round = 0; !isOver() && !stranger.client.isClosed; round += 1) {
      const asked = Array.from({ length: AT_ONCE }, (_, index) =>
        request(stranger, trackId, round * AT_ONCE + index),
      );
      for (const answer of await Promise.all(asked)) answers.add(answer);
    }
    await stranger.leave();
  }
  return [...answers];
}

export const CROWDED_ROOM: Attack = {
  name: 'a room full of attackers',
  world: 'plain',
  does: 'enters the meeting sixty times, and spends of its budget what there is: mutes, pages, questions, changes',
  gets: ['ok', 'rate_limited', 'flooding', 'closed', 'limit_reached', 'timed_out', 'no_media_node'],
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
