import { TokenBucket } from '@plenary/cluster';
import type { BucketSettings, Clock } from '@plenary/cluster';

export interface FloodSettings {
  /** Refusals for being too fast that are borne before the socket is dropped. */
  readonly patience: BucketSettings;
  /** Frames on the wire, whatever is in them. */
  readonly frames: BucketSettings;
  /** Bytes on the wire. */
  readonly bytes: BucketSettings;
}

export const FLOOD_SETTINGS: FloodSettings = {
  patience: { capacity: 50, refillPerSecond: 5 },
  frames: { capacity: 1_000, refillPerSecond: 200 },
  bytes: { capacity: 1_048_576, refillPerSecond: 131_072 },
};

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
