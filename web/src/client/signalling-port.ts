/**
 * Connects the client to an edge. `socket-signalling.ts` is the real one; tests script an edge behind the same interface.
 * The messages are not typed here: `rpc.ts` checks every payload in both directions.
 */
export interface SignallingPort {
  /**
   * Opens a connection; `handlers.opened` or `handlers.closed` follows, the latter exactly once at the end.
   *
   * @param timeoutMs - time limit for opening the connection, in milliseconds
   */
  open(url: string, handlers: SignallingHandlers, timeoutMs: number): SignallingConnection;
}

export interface SignallingHandlers {
  /** @param connectionId - Socket.IO's id of this connection, assigned by the edge; it is the nonce of a resume */
  opened(connectionId: string): void;
  /** The connection ended or could not be opened. Not called after `close()`. */
  closed(reason: string): void;
  notice(name: string, payload: unknown): void;
}

export interface SignallingConnection {
  /** Sends a request. `acknowledged` is called at most once, with whatever the edge answered. */
  send(name: string, payload: unknown, acknowledged: (envelope: unknown) => void): void;
  close(): void;
}
