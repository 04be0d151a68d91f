import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';

const POLL_MS = 50;
/** Length of the comparison, in milliseconds: some frames of a slow camera, with all of its temporal layers. */
const COMPARED_MS = 500;
/** How long a consumer may play worse before it is accepted, in milliseconds: its path may permanently carry less. */
const AS_WELL_WITHIN_MS = 3_000;
/** Frames at the edge of the compared time. */
const SLACK_FRAMES = 1;
const SLACK_RATE = 0.9;

type Watched = Pick<types.Consumer, 'kind' | 'closed' | 'getStats'>;

/** Count of a receiver so far: decoded frames for video, packets for audio. */
export interface Played {
  readonly count: number;
  /** Width of the last frame; 0 for audio, or when it is unknown. */
  readonly width: number;
}

/** The counts at one time. `old` is absent when the old consumer reports nothing any more. */
export interface PlayedAt {
  readonly atMs: number;
  readonly next: Played;
  readonly old: Played | undefined;
}

/**
 * Whether a consumer plays as well as the one that it is to replace. A first frame is not enough: a new consumer often begins with the
 * lowest frame rate, until its bandwidth is estimated and its layers are switched up.
 * @param samples - in the order of time; the last one is current
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
 * Waits until a consumer can replace another one unnoticed. Resolves also when the consumer closes, when the old one ended, after three
 * seconds in which the new one played worse, or after `atMostMs`.
 * @param noStats - called once when the browser gives no statistics; then only `atMostMs` ends the wait
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
    let isChecking = false;
    const done = (): void => {
      clearInterval(poll);
      clearTimeout(deadline);
      oldEnded.removeEventListener('abort', done);
      resolve();
    };
    const check = async (): Promise<void> => {
      if (next.closed) {
        done();
        return;
      }
      isChecking = true;
      const [played, playedByOld] = await Promise.all([playedOf(next), playedOf(old)]);
      isChecking = false;
      if (played === undefined) return;
      const atMs = performance.now();
      samples.push({ atMs, next: played, old: playedByOld });
      if (played.count > 0) playsSinceMs ??= atMs;
      if (isAsGood(samples) || atMs - (playsSinceMs ?? atMs) > AS_WELL_WITHIN_MS) done();
    };
    const poll = setInterval(() => {
      if (isChecking) return;
      check().catch((thrown: unknown) => {
        clearInterval(poll);
        noStats(thrown);
      });
    }, POLL_MS);
    const deadline = setTimeout(done, atMostMs);
    oldEnded.addEventListener('abort', done);
    if (oldEnded.aborted) done();
  });
}

/** @returns `undefined` for a closed consumer, or one without statistics so far */
async function playedOf(consumer: Watched): Promise<Played | undefined> {
  const figure = consumer.kind === 'video' ? 'framesDecoded' : 'packetsReceived';
  const entry = (await entriesOf(consumer)).find(({ type }) => type === 'inbound-rtp');
  if (entry === undefined) return undefined;
  return { count: numberOf(entry, figure), width: numberOf(entry, 'frameWidth') };
}
