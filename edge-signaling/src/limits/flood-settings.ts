import type { BucketSettings } from '@plenary/cluster';

export interface FloodSettings {
  /** Refusals for excessive speed before the edge closes the socket. */
  readonly patience: BucketSettings;
  /** Frames of a session on the wire, whatever they contain. */
  readonly frames: BucketSettings;
  /** Bytes on the wire. */
  readonly bytes: BucketSettings;
}

export const FLOOD_SETTINGS: FloodSettings = {
  patience: { capacity: 50, refillPerSecond: 5 },
  frames: { capacity: 1_000, refillPerSecond: 200 },
  bytes: { capacity: 1_048_576, refillPerSecond: 131_072 },
};
