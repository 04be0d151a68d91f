/**
 * How the client reaches an edge. The real one is `socket-signalling.ts`; tests script an edge behind the same
 * interface. Nothing here is typed by message: `rpc.ts` checks every payload in both directions.
 */
export interface SignallingPort {
  /**
   * Opens a connection; `handlers.opened` or `handlers.closed` follows, the latter exactly once at the end.
   *
   * @param timeoutMs - how long it may take until it is open, in milliseconds
   */
  open(url: string, handlers: SignallingHandlers, timeoutMs: number): SignallingConnection;
}

export interface SignallingHandlers {
  /** @param connectionId - Socket.IO's id of this connection, which the edge gave it: the nonce of a resume */
  opened(connectionId: string): void;
  /** The connection is gone, or could not be made. Not called after `close()`. */
  closed(reason: string): void;
  notice(name: string, payload: unknown): void;
}

export interface SignallingConnection {
  /** Sends a request. `acknowledged` is called at most once, with whatever the edge answered. */
  send(name: string, payload: unknown, acknowledged: (envelope: unknown) => void): void;
  close(): void;
}
