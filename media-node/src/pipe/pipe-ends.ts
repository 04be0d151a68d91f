/**
 * The reasons that end a pipe. A pipe has two sides: the asking side (`PipeLink`) and the home side (`PipeHome`).
 * Each has one `close(reason)`, and these two tables say what follows from each reason.
 */

/** Why the asking side closes, and what follows. */
export const ASKING_ENDS = {
  /** No track is pulled through the pipe any more, and its linger is over. */
  unused: { tellsHome: true, failsGateway: false },
  /** The home side closed first. */
  home_closed: { tellsHome: false, failsGateway: true },
  /** The control link to the node at the other end broke; that node closes its side itself. */
  link_broken: { tellsHome: false, failsGateway: true },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  port_closed: { tellsHome: true, failsGateway: false },
  /** This node stops, or the room's last peer here left. */
  node_stopping: { tellsHome: true, failsGateway: false },
} as const satisfies Record<string, AskingEnd>;

interface AskingEnd {
  /** The home is asked to close its side. */
  readonly tellsHome: boolean;
  /** If the other end is a gateway, it counts as failed: the next request for a track claims its place (SPEC GW3). */
  readonly failsGateway: boolean;
}

export type PipeCloseReason = keyof typeof ASKING_ENDS;

/** Why the home side closes, and what follows. */
export const HOME_ENDS = {
  /** The asking side closes the pipe. */
  asked: { tellsAsker: false },
  /** The asking side opens the pipe between the same two routers again: it has forgotten this one. */
  replaced: { tellsAsker: false },
  /** The control link of the asking side closed. */
  asker_gone: { tellsAsker: false },
  /** The worker closed the transport of this side: it died, or its router was closed. */
  port_closed: { tellsAsker: true },
  /** The pipe could not be opened; the asking side gets the error as its answer. */
  failed: { tellsAsker: false },
} as const satisfies Record<string, { readonly tellsAsker: boolean }>;

export type PipeHomeCloseReason = keyof typeof HOME_ENDS;
