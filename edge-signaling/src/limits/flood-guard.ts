import type { Clock } from '@plenary/cluster';
import { TokenBucket } from './token-bucket.ts';
import type { BucketSettings } from './token-bucket.ts';

export interface FloodSettings {
  /** Work that a socket may ask for, in the costs of the dispatch table. */
  readonly work: BucketSettings;
  /** Refusals for being too fast that are borne before the socket is dropped. */
  readonly patience: BucketSettings;
  /** Frames on the wire, whatever is in them. */
  readonly frames: BucketSettings;
  /** Bytes on the wire. */
  readonly bytes: BucketSettings;
}

export const FLOOD_SETTINGS: FloodSettings = {
  work: { capacity: 150, refillPerSecond: 50 },
  patience: { capacity: 50, refillPerSecond: 5 },
  frames: { capacity: 1_000, refillPerSecond: 200 },
  bytes: { capacity: 1_048_576, refillPerSecond: 131_072 },
};

export type Verdict = 'allowed' | 'rate_limited' | 'flooding';

/**
 * Limits the messages of one socket: one over the rate is refused, and a socket that goes on is dropped (SPEC RL1, RL2).
 * Holds two numbers, whatever the socket sends.
 */
export class FloodGuard {
  readonly #work: TokenBucket;
  readonly #patience: TokenBucket;

  constructor(clock: Clock, settings: FloodSettings = FLOOD_SETTINGS) {
    this.#work = new TokenBucket(settings.work, clock);
    this.#patience = new TokenBucket(settings.patience, clock);
  }

  /** Judges one message by its cost. */
  onMessage(cost: number): Verdict {
    if (this.#work.take(cost)) return 'allowed';
    return this.#patience.take(1) ? 'rate_limited' : 'flooding';
  }
}

/** Limits the frames of one connection before anything of them is read, also of one that never becomes a socket. */
export class FrameGuard {
  readonly #frames: TokenBucket;
  readonly #bytes: TokenBucket;

  constructor(clock: Clock, settings: FloodSettings = FLOOD_SETTINGS) {
    this.#frames = new TokenBucket(settings.frames, clock);
    this.#bytes = new TokenBucket(settings.bytes, clock);
  }

  /** @returns whether the frame may be read */
  onFrame(byteLength: number): boolean {
    return this.#frames.take(1) && this.#bytes.take(byteLength);
  }
}
