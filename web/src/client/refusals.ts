import type { ErrorCode, PlenaryError } from '@plenary/cluster/errors';

/** As what a client asks to be let in: for the first time, by a join after its connection broke, or with its session. */
export type EntryKind = 'join' | 'return' | 'resume';

/**
 * What a client does once it was refused:
 * - `tell`: it is over, the person is told at once, and decides;
 * - `again`: it asks once more, until its deadline, and says meanwhile what it waits for;
 * - `elsewhere`: the same, by another edge, since it is the edge's own trouble;
 * - `others`: it asks each other edge that it knows once;
 * - `join`: only a fresh join helps.
 */
export type Reaction = 'tell' | 'again' | 'elsewhere' | 'others' | 'join';

const IS_OVER: Readonly<Record<EntryKind, Reaction>> = { join: 'tell', return: 'tell', resume: 'tell' };
const PASSES: Readonly<Record<EntryKind, Reaction>> = { join: 'again', return: 'again', resume: 'again' };
const IS_THE_EDGES_OWN: Readonly<Record<EntryKind, Reaction>> = {
  join: 'elsewhere',
  return: 'elsewhere',
  resume: 'elsewhere',
};
const IS_OF_ITS_VERSION: Readonly<Record<EntryKind, Reaction>> = {
  join: 'others',
  return: 'others',
  resume: 'others',
};
/** Waiting some seconds changes little. Who comes back waits all the same: the place that is taken may be their own. */
const IS_FULL: Readonly<Record<EntryKind, Reaction>> = { join: 'tell', return: 'again', resume: 'again' };
/** The session is of no use any more, the person is. */
const ENDS_THE_SESSION: Readonly<Record<EntryKind, Reaction>> = {
  join: 'tell',
  return: 'tell',
  resume: 'join',
};

/** Every code of the closed table; a new code does not compile until it is written here. */
const REACTIONS: Readonly<Record<ErrorCode, Readonly<Record<EntryKind, Reaction>>>> = {
  malformed_message: IS_OVER,
  message_too_large: IS_OVER,
  unknown_message: IS_OVER,
  out_of_order: IS_OVER,
  protocol_version: IS_OF_ITS_VERSION,
  token_invalid: ENDS_THE_SESSION,
  token_expired: ENDS_THE_SESSION,
  token_wrong_room: ENDS_THE_SESSION,
  keys_unavailable: IS_THE_EDGES_OWN,
  // The application decides on who comes, and may be asked again by pressing a button; in a meeting one waits for it.
  token_unavailable: IS_FULL,
  access_revoked: IS_OVER,
  guests_not_allowed: IS_OVER,
  token_replayed: ENDS_THE_SESSION,
  proof_invalid: ENDS_THE_SESSION,
  insecure_context: IS_OVER,
  browser_failed: IS_OVER,
  forbidden: IS_OVER,
  session_gone: ENDS_THE_SESSION,
  rate_limited: PASSES,
  flooding: IS_OVER,
  room_full: IS_FULL,
  joined_too_often: IS_FULL,
  tenant_limit_reached: IS_FULL,
  limit_reached: IS_OVER,
  // Another edge may know other nodes.
  no_media_node: IS_THE_EDGES_OWN,
  media_unavailable: PASSES,
  media_lost: PASSES,
  store_unavailable: IS_THE_EDGES_OWN,
  stale_epoch: PASSES,
  peer_not_found: ENDS_THE_SESSION,
  track_not_found: IS_OVER,
  consumer_not_found: IS_OVER,
  transport_not_found: IS_OVER,
  cannot_consume: IS_OVER,
  invalid_media_parameters: IS_OVER,
  port_slice_overlap: IS_OVER,
  id_taken: IS_THE_EDGES_OWN,
  unauthorised: IS_OVER,
  replaced: IS_OVER,
  timed_out: IS_THE_EDGES_OWN,
  shutting_down: IS_THE_EDGES_OWN,
  internal: IS_THE_EDGES_OWN,
};

/** Hosts whose clocks are further off are rare, in seconds. */
const CLOCKS_MAY_DIFFER_BY = 7_200;
/** A link that has been over for longer is an old link, whatever any clock of an edge says, in seconds. */
const LATELY = 300;

/**
 * Whether a token was refused for a time in it, which another edge may see otherwise: one of the two clocks is wrong.
 * @param endedAgo - for how many seconds it has been over by the own clock; without that the edge's word counts
 */
export function mayBeTheClock({ detail }: Pick<PlenaryError, 'detail'>, endedAgo?: number): boolean {
  if (detail?.reason === 'expired') return (endedAgo ?? detail.seconds ?? 0) <= LATELY;
  return detail?.reason === 'in_future' && (detail.seconds ?? 0) <= CLOCKS_MAY_DIFFER_BY;
}

/**
 * What a client that wants to be let in does about a refusal. SPEC RJ9, HL48, HL49.
 * @param endedAgo - for how many seconds the token that was refused has been over by the own clock
 */
export function reactionTo(
  error: Pick<PlenaryError, 'code' | 'retryable' | 'detail'>,
  as: EntryKind,
  endedAgo?: number,
): Reaction {
  const reaction = REACTIONS[error.code][as];
  if (reaction === 'tell' && mayBeTheClock(error, endedAgo)) return 'others';
  // A newer edge may know better than this table that it will not change.
  return (reaction === 'again' || reaction === 'elsewhere') && !error.retryable ? 'tell' : reaction;
}
