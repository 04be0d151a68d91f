import { guardCallback } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/** The signals that ask a process to end: of an orchestrator, of a person at the keyboard, and of a terminal that closes. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Ignores the signal at which Node would open its debugger to everybody who reaches the loopback (SPEC LC21). */
export function refuseDebugger(
  process: { on(event: 'SIGUSR1', listener: () => void): unknown },
  logger: Pick<Logger, 'warn'>,
): void {
  process.on(
    'SIGUSR1',
    guardCallback('signal', () => logger.warn('SIGUSR1 is ignored: it opens no debugger here')),
  );
}
