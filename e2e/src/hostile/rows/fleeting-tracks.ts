/** Tracks that end before everybody's subscription arrives (SPEC BU22, BU75). */
import { randomUUID } from 'node:crypto';
import type { Answers, Attack } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { JoinRefused, Stranger } from '../stranger.ts';

const PUBLISHERS = 8;

async function publishAndEnd(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  const answers = new Set<string>();
  while (!isOver()) {
    let stranger: Stranger;
    try {
      stranger = await Stranger.join(world, { token: world.token({ subject: `mallory-${randomUUID()}` }) });
    } catch (error) {
      if (!(error instanceof JoinRefused)) throw error;
      answers.add(error.code);
      continue;
    }
    while (!isOver() && !stranger.client.isClosed) {
      const { outcome, trackId } = await stranger.publish();
      answers.add(outcome);
      if (outcome === 'ok') answers.add(await stranger.ask('track.end', { trackId }));
    }
    await stranger.leave();
  }
  return [...answers];
}

export const FLEETING_TRACKS: Attack = {
  name: 'tracks published and ended without end',
  world: 'plain',
  description: `joins the meeting ${PUBLISHERS} times, and publishes microphones that it ends as soon as everybody knows them`,
  allowedAnswers: [
    'ok',
    'rate_limited',
    'flooding',
    'closed',
    'limit_reached',
    'media_unavailable',
    'no_media_node',
  ],
  strike: async (world, isOver) => {
    const publishing = Array.from({ length: PUBLISHERS }, () => publishAndEnd(world, isOver));
    return [...new Set((await Promise.all(publishing)).flat())];
  },
};
