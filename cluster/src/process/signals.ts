import { guardCallback } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/** The signals that ask a process to end: of an orchestrator, of a person at the keyboard, and of a terminal that closes. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** The events of a process that is in an unknown state. */
export interface FaultHooks {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (fault: unknown) => void): unknown;
  exit(code: number): void;
}

/** Exits with 1 on an uncaught error, because the state of the process can no longer be trusted (SPEC LC2). */
export function exitOnFault(process: FaultHooks, logger: Pick<Logger, 'fatal'>): void {
  const exit = guardCallback('signal', (fault: unknown) => {
    logger.fatal({ err: fault }, 'uncaught error; exiting');
    process.exit(1);
  });
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}

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
