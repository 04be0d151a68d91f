/** Sessions that rest just long enough to count as newcomers, and then all send requests at once. */
import type { Answers, Attack } from '../attack.ts';
import { MEETING_ROOM } from '../meeting-room.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { HandshakeRefused } from '../raw-client.ts';
import { joinPayload, JoinRefused, Stranger } from '../stranger.ts';

/** The unit test covers the budget of a thousand sessions; that many joins would take minutes here. */
const SESSIONS = 120;
const JOINING_AT_ONCE = 20;
/** A session that drew nothing for ten seconds counts as resting (SPEC BU52). */
const PULSE_EVERY_MS = 11_000;
const PULSES = 2;
/** How many requests each session sends in a pulse. */
const OF_EACH = 6;

/** Joins to receive only. @returns `undefined` if the join was refused */
async function listener(world: HostileWorld, answers: Set<string>): Promise<Stranger | undefined> {
  const { media } = await joinPayload(world);
  try {
    return await Stranger.join(world, {
      roomId: MEETING_ROOM,
      join: { media: { ...Object(media), publish: false } },
    });
  } catch (error) {
    if (!(error instanceof JoinRefused || error instanceof HandshakeRefused)) throw error;
    answers.add(error instanceof JoinRefused ? error.code : error.message);
    return undefined;
  }
}

export const PULSES_OF_MANY: Attack = {
  name: 'a hundred and twenty sessions that pulse every eleven seconds',
  world: 'plain',
  description: `joins the meeting ${SESSIONS} times, rests, and has all sessions request the roster and missing events at once, twice`,
  allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed', 'timed_out', 'no_media_node', 'room_full'],
  strike: async (world): Promise<Answers> => {
    const answers = new Set<string>();
    const sessions: Stranger[] = [];
    for (let count = 0; count < SESSIONS; count += JOINING_AT_ONCE) {
      const joining = Array.from({ length: JOINING_AT_ONCE }, () => listener(world, answers));
      for (const one of await Promise.all(joining)) if (one !== undefined) sessions.push(one);
    }
    for (let pulse = 0; pulse < PULSES; pulse += 1) {
      await new Promise((resolve) => setTimeout(resolve, PULSE_EVERY_MS));
      const pending = sessions.flatMap((session) =>
        Array.from({ length: OF_EACH }, (_, index) =>
          index % 3 === 0
            ? session.ask('sync', { afterEventId: '1-0' })
            : session.ask('roster.page', { cursor: '' }),
        ),
      );
      for (const answer of await Promise.all(pending)) answers.add(answer);
    }
    for (let index = 0; index < sessions.length; index += JOINING_AT_ONCE)
      await Promise.all(sessions.slice(index, index + JOINING_AT_ONCE).map((session) => session.leave()));
    return [...answers];
  },
};
