import { guardCallback } from '../process/guarded-callbacks.ts';
/** The part of a Socket.IO client that judges its connection by the wall clock. */
interface ClientOfEngine {
  readonly io: {
    readonly engine: { _hasPingExpired(): boolean };
    on(event: 'open', listener: () => void): unknown;
  };
}

/**
 * Has a link go on over a jump of the wall clock. Before each message Engine.IO compares the wall clock with when the last
 * ping should have come, for browsers that slept, and closes the connection; a link that is closed so cannot be opened
 * again as long as its host's clock is wrong, since nobody believes its token. Its beats and Engine.IO's own timers, which
 * follow no wall clock, watch it as well (SPEC CL8).
 */
export function ignoreWallClock({ io }: ClientOfEngine): void {
  io.on(
    'open',
    guardCallback('control_link', () => {
      io.engine._hasPingExpired = () => false;
    }),
  );
}
