import { randomUUID } from 'node:crypto';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { errorCodeOf } from '../raw-client.ts';
import { JoinRefused, Stranger } from '../stranger.ts';
import type { StrangerOptions } from '../stranger.ts';

const LIMITED = ['ok', 'rate_limited', 'flooding', 'closed', 'limit_reached'];
/** How many requests a flood has pending at a time. */
const AT_ONCE = 30;

/** One request that a stranger in the meeting sends without end, many at once. */
export interface FloodKind {
  readonly name: string;
  readonly description: string;
  readonly step: (stranger: Stranger, count: number) => Promise<string>;
  /** Answers that it may get besides those of every flood. */
  readonly moreAnswers?: readonly string[];
  readonly join?: StrangerOptions;
  readonly prepare?: (stranger: Stranger) => Promise<void>;
}

/** Floods over one connection at a time; a stranger who is cut off returns. */
export async function flood(
  world: HostileWorld,
  { join, prepare, step }: FloodKind,
  isOver: () => boolean,
  localAddress?: string,
): Promise<Answers> {
  return repeatUntil(isOver, async () => {
    const stranger = await Stranger.join(world, {
      ...join,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await prepare?.(stranger);
    const answers = new Set<string>();
    for (let round = 0; !isOver() && !stranger.client.isClosed; round += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, index) => step(stranger, round * AT_ONCE + index)),
      );
      for (const outcome of outcomes) answers.add(outcome);
    }
    await stranger.leave();
    return [...answers];
  });
}

export const FLOOD_KINDS: readonly FloodKind[] = [
  {
    name: 'endless edge checks',
    description: 'asks its edge for a sign of life',
    step: (stranger) => stranger.ask('edge.check', {}),
  },
  {
    name: 'mutes and unmutes without end',
    description: 'mutes and unmutes a microphone, which everybody is notified of',
    step: (stranger, count) =>
      stranger.ask('track.pause', { trackId: trackOf(stranger), paused: count % 2 === 0 }),
    prepare: publishMicrophone,
  },
  {
    name: 'changes of consumers without end',
    description: 'changes layers and priority of every consumer, 64 times in one request',
    step: (stranger, count) =>
      stranger.ask('consumers.update', {
        consumers: Array.from({ length: 64 }, (_, index) => ({
          consumerId: stranger.joined.media.consumers[index % 2]?.consumerId ?? 'x',
          paused: (count + index) % 2 === 0,
          priority: 1 + ((count + index) % 255),
        })),
      }),
  },
  {
    name: 'subscriptions without end',
    description: 'subscribes to every track of the room, again and again',
    step: (stranger) =>
      stranger.ask('subscribe', { trackIds: stranger.joined.room.tracks.map(({ trackId }) => trackId) }),
    moreAnswers: ['media_unavailable', 'track_not_found'],
  },
  {
    name: 'catching up without end',
    description: 'requests all events that ever happened in the room',
    step: (stranger) => stranger.ask('sync', { afterEventId: '1-0' }),
  },
  {
    name: 'endless roster pages',
    description: 'requests the roster’s first page',
    step: (stranger) => stranger.ask('roster.page', { cursor: '' }),
  },
  {
    name: 'endless media checks',
    description: 'asks whether the media node still hosts it',
    step: (stranger) => stranger.ask('media.check', {}),
  },
  {
    name: 'endless failed consumers',
    description: 'reports existing and unknown consumers as unusable, and subscribes again',
    step: async (stranger, count) => {
      const [consumer] = stranger.joined.media.consumers;
      const [trackId, consumerId] = [consumer?.trackId ?? 'x', consumer?.consumerId ?? 'x'];
      if (count % 3 === 0) return stranger.ask('subscribe', { trackIds: [trackId] });
      return stranger.ask('consumer.failed', { consumerId: count % 3 === 1 ? consumerId : 'x', trackId });
    },
    moreAnswers: ['media_unavailable', 'track_not_found'],
  },
  {
    name: 'opening media without end',
    description: 'opens another media session',
    step: (stranger) => stranger.ask('media.open', { rtpCapabilities: stranger.capabilities, publish: true }),
    moreAnswers: ['media_unavailable', 'stale_epoch', 'media_lost', 'no_media_node'],
  },
  {
    name: 'chat without end',
    description: 'posts 4,000 characters in another room',
    step: (stranger, count) =>
      stranger.ask('chat.post', { requestId: `c-${count}`, text: 'x'.repeat(4_000) }),
    join: { roomId: 'shouting' },
  },
];

export const FLOODS: readonly Attack[] = [
  ...FLOOD_KINDS.map((kind): Attack => ({
    name: kind.name,
    world: 'plain',
    description: kind.description,
    allowedAnswers: [...LIMITED, ...(kind.moreAnswers ?? [])],
    strike: (world, isOver) => flood(world, kind, isOver),
  })),
  {
    name: 'one person with ten joins who floods with empty frames',
    world: 'plain',
    description:
      'joins two rooms five times each, from ten addresses, and sends 190 frames a second on each connection',
    allowedAnswers: ['ok', 'flooding', 'closed', 'joined_too_often', 'rate_limited'],
    strike: async (world, isOver) => {
      const subject = `mallory-${randomUUID()}`;
      const answers = await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const roomId = `ten-joins-${index % 2}`;
          return repeatUntil(isOver, async () => floodWithFrames(world, isOver, { roomId, subject }));
        }),
      );
      return [...new Set(answers.flat())];
    },
  },
  {
    name: 'a client that does not read',
    world: 'plain',
    description: 'requests the room again and again, and reads none of the answers',
    allowedAnswers: ['open', 'closed'],
    strike: async (world, isOver) => {
      const stranger = await Stranger.join(world);
      stranger.client.pause();
      let count = 0;
      while (!isOver() && !stranger.client.isClosed) {
        count += 1;
        stranger.client.send(`42${count}["sync",{"afterEventId":"1-0"}]`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      stranger.client.terminate();
      return ['open'];
    },
  },
];

/** Sends just below a connection's limit until it is closed. @returns the edge's last error code */
async function floodWithFrames(
  world: HostileWorld,
  isOver: () => boolean,
  { roomId, subject }: { readonly roomId: string; readonly subject: string },
): Promise<string> {
  const pause = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
  try {
    const { client } = await Stranger.join(world, { roomId, token: world.token({ roomId, subject }) });
    while (!isOver() && !client.isClosed) {
      for (let count = 0; count < 19; count += 1) client.send('3');
      await pause();
    }
    if (!client.isClosed) await client.ask('leave', {});
    await client.close();
    return client.received.map((frame) => errorCodeOf(frame)).find((code) => code !== undefined) ?? 'ok';
  } catch (error) {
    if (!(error instanceof JoinRefused)) throw error;
    await pause();
    return error.code;
  }
}

const tracks = new WeakMap<Stranger, string>();

async function publishMicrophone(stranger: Stranger): Promise<void> {
  const { outcome, trackId } = await stranger.publish();
  if (outcome !== 'ok') throw new Error(`the microphone was refused: ${outcome}`);
  tracks.set(stranger, trackId);
}

const trackOf = (stranger: Stranger): string => tracks.get(stranger) ?? '';
