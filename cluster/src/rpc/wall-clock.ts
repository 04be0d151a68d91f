import { guardCallback } from '../process/guarded-callbacks.ts';
/** The part of a Socket.IO client that checks its connection by the wall clock. */
interface ClientOfEngine {
  readonly io: {
    readonly engine: { _hasPingExpired(): boolean };
    on(event: 'open', listener: () => void): unknown;
  };
}

/**
 * Keeps a link open when the wall clock jumps. Before each message Engine.IO compares the wall clock with the due
 * time of the last ping, for browsers that slept, and closes the connection. A link closed like this cannot open
 * again as long as its host's clock is wrong, since nobody accepts its token. The link's beats and Engine.IO's own
 * timers do not use the wall clock, and watch the link too (SPEC CL8).
 */
export function ignoreWallClock({ io }: ClientOfEngine): void {
  io.on(
    'open',
    guardCallback('control_link', () => {
      io.engine._hasPingExpired = () => false;
    }),
  );
}
