/** The messages between the benchmark and the processes that hold its people. */
import { z } from 'zod';

export const CROWD_SPEC = z.object({
  apiKey: z.string(),
  apiSecret: z.string(),
  edgeUrls: z.array(z.string()),
  /** The number of the first person, so that names, rooms and addresses of several processes differ. */
  first: z.int(),
  count: z.int(),
  roomSize: z.int(),
  /** How many joins are pending at a time. */
  concurrency: z.int(),
});
export type CrowdSpec = z.infer<typeof CROWD_SPEC>;

export const CROWD_COMMAND = z.discriminatedUnion('type', [
  z.object({ type: z.literal('join'), spec: CROWD_SPEC }),
  z.object({ type: z.literal('count') }),
  z.object({ type: z.literal('report') }),
]);
export type CrowdCommand = z.infer<typeof CROWD_COMMAND>;

export const CROWD_COUNT = z.object({
  joined: z.int(),
  reconnecting: z.int(),
  failed: z.int(),
  /** Sockets that were lost so far, over all people. */
  lost: z.int(),
});
export type CrowdCount = z.infer<typeof CROWD_COUNT>;

export const CROWD_REPORT = z.object({
  gaps: z.array(z.object({ lostAtMs: z.number(), backAtMs: z.number().optional() })),
  /** In the room, with the same peer as before. */
  same: z.int(),
  /** In the room, but as a new peer, because the session was lost. */
  joinedAnew: z.int(),
  /** The errors with which people failed permanently. */
  failures: z.array(z.string()),
  /** Not in the room, but still trying. */
  trying: z.int(),
  mediaReopened: z.int(),
  malformed: z.int(),
  timedOut: z.int(),
  /** People who do not see everybody else in their room. */
  incomplete: z.int(),
});
export type CrowdReport = z.infer<typeof CROWD_REPORT>;

/** Each command is answered once, in order. `failures` counts failed joins by code. */
export const CROWD_ANSWER = z.discriminatedUnion('type', [
  z.object({ type: z.literal('join'), failures: z.array(z.string()) }),
  z.object({ type: z.literal('count'), count: CROWD_COUNT }),
  z.object({ type: z.literal('report'), report: CROWD_REPORT }),
]);
export type CrowdAnswer = z.infer<typeof CROWD_ANSWER>;
