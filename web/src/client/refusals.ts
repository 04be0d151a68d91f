import type { ErrorCode, PlenaryError } from '@plenary/cluster/errors';

/** How a client enters: by its first join, by a join after its connection broke (`return`), or by a resume of its session. */
export type EntryKind = 'join' | 'return' | 'resume';

/**
 * The client's reaction to a refusal:
 * - `tell`: it stops at once and shows the error to the person, who decides;
 * - `again`: it retries until its deadline, and shows meanwhile what it waits for;
 * - `elsewhere`: it retries at another edge, because the cause is the edge itself;
 * - `others`: it tries each other known edge once;
 * - `join`: it joins afresh, because the session cannot be resumed.
 */
export type Reaction = 'tell' | 'again' | 'elsewhere' | 'others' | 'join';

const FINAL: Readonly<Record<EntryKind, Reaction>> = { join: 'tell', return: 'tell', resume: 'tell' };
const TRANSIENT: Readonly<Record<EntryKind, Reaction>> = { join: 'again', return: 'again', resume: 'again' };
const EDGE_FAULT: Readonly<Record<EntryKind, Reaction>> = {
  join: 'elsewhere',
  return: 'elsewhere',
  resume: 'elsewhere',
};
const EDGE_VERSION: Readonly<Record<EntryKind, Reaction>> = {
  join: 'others',
  return: 'others',
  resume: 'others',
};
/** A first join stops: a few seconds change little. A returning client retries, because the taken place may be its own. */
const FULL: Readonly<Record<EntryKind, Reaction>> = { join: 'tell', return: 'again', resume: 'again' };
/** The session cannot be resumed, but the person may join again. */
const SESSION_OVER: Readonly<Record<EntryKind, Reaction>> = {
  join: 'tell',
  return: 'tell',
  resume: 'join',
};

/** Every code of the closed table; a new code does not compile until it is written here. */
const REACTIONS: Readonly<Record<ErrorCode, Readonly<Record<EntryKind, Reaction>>>> = {
  malformed_message: FINAL,
  message_too_large: FINAL,
  unknown_message: FINAL,
  out_of_order: FINAL,
  protocol_version: EDGE_VERSION,
  token_invalid: SESSION_OVER,
  token_expired: SESSION_OVER,
  token_wrong_room: SESSION_OVER,
  keys_unavailable: EDGE_FAULT,
  // Before the meeting the person can retry by a button. During a meeting the client waits for the application.
  token_unavailable: FULL,
  access_revoked: FINAL,
  guests_not_allowed: FINAL,
  token_replayed: SESSION_OVER,
  proof_invalid: SESSION_OVER,
  insecure_context: FINAL,
  browser_failed: FINAL,
  forbidden: FINAL,
  session_gone: SESSION_OVER,
  rate_limited: TRANSIENT,
  flooding: FINAL,
  room_full: FULL,
  joined_too_often: FULL,
  tenant_limit_reached: FULL,
  limit_reached: FINAL,
  // Another edge may know other nodes.
  no_media_node: EDGE_FAULT,
  media_unavailable: TRANSIENT,
  media_lost: TRANSIENT,
  store_unavailable: EDGE_FAULT,
  stale_epoch: TRANSIENT,
  peer_not_found: SESSION_OVER,
  track_not_found: FINAL,
  consumer_not_found: FINAL,
  transport_not_found: FINAL,
  cannot_consume: FINAL,
  invalid_media_parameters: FINAL,
  port_slice_overlap: FINAL,
  id_taken: EDGE_FAULT,
  unauthorised: FINAL,
  replaced: FINAL,
  timed_out: EDGE_FAULT,
  shutting_down: EDGE_FAULT,
  internal: EDGE_FAULT,
};

/** Largest plausible difference between the clocks of two hosts, in seconds. */
const MAX_CLOCK_DIFFERENCE_SECONDS = 7_200;
/** A token that expired longer ago is old whatever the clock of an edge says, in seconds. */
const RECENT_EXPIRY_SECONDS = 300;

/**
 * Whether the edge refused a token because of a time in it and its clock may be wrong, so that another edge may accept the token.
 * @param expiredForSeconds - seconds since the token expired by this machine's clock; by default the edge's figure counts
 */
export function mayBeTheClock({ detail }: Pick<PlenaryError, 'detail'>, expiredForSeconds?: number): boolean {
  if (detail?.reason === 'expired')
    return (expiredForSeconds ?? detail.seconds ?? 0) <= RECENT_EXPIRY_SECONDS;
  return detail?.reason === 'in_future' && (detail.seconds ?? 0) <= MAX_CLOCK_DIFFERENCE_SECONDS;
}

/**
 * Decides the client's reaction to a refused join or resume. SPEC RJ9, HL48, HL49.
 * @param expiredForSeconds - seconds since the refused token expired by this machine's clock
 */
export function reactionTo(
  error: Pick<PlenaryError, 'code' | 'retryable' | 'detail'>,
  as: EntryKind,
  expiredForSeconds?: number,
): Reaction {
  const reaction = REACTIONS[error.code][as];
  if (reaction === 'tell' && mayBeTheClock(error, expiredForSeconds)) return 'others';
  // A newer edge may mark an error as final that this table retries.
  return (reaction === 'again' || reaction === 'elsewhere') && !error.retryable ? 'tell' : reaction;
}
