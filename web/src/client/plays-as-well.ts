import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';

const POLL_MS = 50;
/** Over how long the two are compared, in milliseconds: some frames of a slow camera, with all of its temporal layers. */
const COMPARED_MS = 500;
/** How long one that plays, but not as well, is waited for, in milliseconds: its way may carry less for good. */
const AS_WELL_WITHIN_MS = 3_000;
/** Frames that come on the border of the time that is looked at. */
const SLACK_FRAMES = 1;
const SLACK_RATE = 0.9;

type Watched = Pick<types.Consumer, 'kind' | 'closed' | 'getStats'>;

/** What was counted of a receiver so far: decoded frames of a video, packets of a sound. */
export interface Played {
  readonly count: number;
  /** Of the last frame; 0 of a sound, or when it is not known. */
  readonly width: number;
}

/** What was counted at one time; `old` is absent when the old one is not heard of any more. */
export interface PlayedAt {
  readonly atMs: number;
  readonly next: Played;
  readonly old: Played | undefined;
}

/**
 * Whether a consumer plays as well as the one whose place it is to take. A first frame is not enough: a new consumer often
 * begins with the fewest frames a second, until its path is known and its layers are in step.
 * @param samples - in the order of time, the last one of now
 */
export function isAsGood(samples: readonly PlayedAt[]): boolean {
  const now = samples.at(-1);
  if (now === undefined || now.next.count === 0) return false;
  if (now.old === undefined) return true;
  const before = samples.findLast(({ atMs }) => now.atMs - atMs >= COMPARED_MS);
  if (before?.old === undefined) return false;
  const wanted = (now.old.count - before.old.count) * SLACK_RATE - SLACK_FRAMES;
  return now.next.count - before.next.count >= wanted && now.next.width >= now.old.width;
}

/**
 * Waits until a consumer can take the place of another one unnoticed. Settles as well when the consumer closes, when the
 * old one has ended, when it plays for three seconds though not as well, or after `atMostMs`.
 * @param noStats - told once when the browser gives no statistics, after which only the time is waited for
 */
export function playsAsWell(
  next: Watched,
  old: Watched,
  oldEnded: AbortSignal,
  atMostMs: number,
  noStats: (thrown: unknown) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const samples: PlayedAt[] = [];
    let playsSinceMs: number | undefined;
    let isLooking = false;
    const done = (): void => {
      clearInterval(poll);
      clearTimeout(deadline);
      oldEnded.removeEventListener('abort', done);
      resolve();
    };
    const look = async (): Promise<void> => {
      if (next.closed) {
        done();
        return;
      }
      isLooking = true;
      const [played, playedByOld] = await Promise.all([playedOf(next), playedOf(old)]);
      isLooking = false;
      if (played === undefined) return;
      const atMs = performance.now();
      samples.push({ atMs, next: played, old: playedByOld });
      if (played.count > 0) playsSinceMs ??= atMs;
      if (isAsGood(samples) || atMs - (playsSinceMs ?? atMs) > AS_WELL_WITHIN_MS) done();
    };
    const poll = setInterval(() => {
      if (isLooking) return;
      look().catch((thrown: unknown) => {
        clearInterval(poll);
        noStats(thrown);
      });
    }, POLL_MS);
    const deadline = setTimeout(done, atMostMs);
    oldEnded.addEventListener('abort', done);
    if (oldEnded.aborted) done();
  });
}

/** @returns nothing for a consumer that is closed, or of which nothing is counted yet */
async function playedOf(consumer: Watched): Promise<Played | undefined> {
  const figure = consumer.kind === 'video' ? 'framesDecoded' : 'packetsReceived';
  const entry = (await entriesOf(consumer)).find(({ type }) => type === 'inbound-rtp');
  if (entry === undefined) return undefined;
  return { count: numberOf(entry, figure), width: numberOf(entry, 'frameWidth') };
}
