/**
 * What ends a pipe. A pipe has two sides: the side that asked for it (`PipeLink`) and the home side (`PipeHome`). Each has one
 * `close(reason)`, and these two tables say what follows from each reason.
 */

/** Why the side that asked closes, and what follows. */
export const ASKING_ENDS = {
  /** No track is pulled through the pipe any more, and its linger is over. */
  unused: { tellsHome: true, failsGateway: false },
  /** The home said that its side is closed. */
  home_closed: { tellsHome: false, failsGateway: true },
  /** The control link to the node at the other end broke; that node closes its side by itself. */
  link_broken: { tellsHome: false, failsGateway: true },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  port_closed: { tellsHome: true, failsGateway: false },
  /** This node stops, or the room's last peer here is gone with it. */
  node_stopping: { tellsHome: true, failsGateway: false },
} as const satisfies Record<string, AskingEnd>;

interface AskingEnd {
  /** The home is told to close its side. */
  readonly tellsHome: boolean;
  /** Where the other end is a gateway, it counts as failed: the next request for a track claims its place (SPEC GW3). */
  readonly failsGateway: boolean;
}

export type PipeCloseReason = keyof typeof ASKING_ENDS;

/** Why the home side closes, and what follows. */
export const HOME_ENDS = {
  /** The side that asked closes the pipe. */
  asked: { tellsAsker: false },
  /** The side that asked opens the pipe between the same two routers again: it has forgotten this one. */
  replaced: { tellsAsker: false },
  /** The control link of the side that asked closed. */
  asker_gone: { tellsAsker: false },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  port_closed: { tellsAsker: true },
  /** The pipe could not be opened; the side that asked gets the error as its answer. */
  failed: { tellsAsker: false },
} as const satisfies Record<string, { readonly tellsAsker: boolean }>;

export type PipeHomeCloseReason = keyof typeof HOME_ENDS;
