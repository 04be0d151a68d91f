/**
 * The reasons that end a pipe. A pipe has a pulling side (`PipeLink`, whose router requested the track) and a sending side
 * (`PipeHome`, on the track's home or on a gateway). Each has one `close(reason)`, and these tables have the consequences of each
 * reason. Silence in a pipe ends nothing: it is only logged, because a muted publisher sends nothing either. A pipe that could not
 * be opened has no reason on the pulling side: the request for the track fails with the error.
 */

/** Why the pulling side closes, and the consequences. */
export const PULLING_CLOSE_REASONS = {
  /** No track is pulled through the pipe any more, and its linger is over. */
  unused: { notifiesHome: true, failsGateway: false },
  /** The sending side closed first. */
  home_closed: { notifiesHome: false, failsGateway: true },
  /** The control link to the node at the other end broke; that node closes its side itself. */
  link_broken: { notifiesHome: false, failsGateway: true },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  transport_closed: { notifiesHome: true, failsGateway: false },
  /** The room closes on this node: its last peer here left, or the node stops. */
  room_closed: { notifiesHome: true, failsGateway: false },
} as const satisfies Record<string, PullingConsequence>;

interface PullingConsequence {
  /** The sending side is requested to close too. */
  readonly notifiesHome: boolean;
  /** If the other end is a gateway, it counts as failed: the next request for a track claims its place (SPEC GW3). */
  readonly failsGateway: boolean;
}

export type PipeCloseReason = keyof typeof PULLING_CLOSE_REASONS;

/** Why the sending side closes, and the consequences. */
export const SENDING_CLOSE_REASONS = {
  /** The pulling side closes the pipe. */
  requested: { notifiesRequester: false },
  /** The pulling side opens a pipe between the same two routers again, because it no longer knows of this one. */
  replaced: { notifiesRequester: false },
  /** The control link of the pulling side closed. */
  requester_gone: { notifiesRequester: false },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  transport_closed: { notifiesRequester: true },
  /** The pipe could not be opened; the pulling side gets the error as its answer. */
  failed: { notifiesRequester: false },
} as const satisfies Record<string, { readonly notifiesRequester: boolean }>;

export type PipeHomeCloseReason = keyof typeof SENDING_CLOSE_REASONS;
