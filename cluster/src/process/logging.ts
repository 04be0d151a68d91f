import { pino } from 'pino';
import type { Logger } from 'pino';
import type { LogOutput } from './log-output.ts';

export type { Logger } from 'pino';

/** The fields of every line of a process. */
export interface ProcessIdentity {
  readonly kind: 'edge' | 'media-node';
  readonly id: string;
  readonly datacenter: string;
}

/**
 * Creates the logger of a process: JSON lines. `docs/logging.md` says what belongs on which level. Secrets never
 * reach a log: tokens, ICE passwords and keys are redacted anywhere in a logged object.
 */
export function createLogger(identity: ProcessIdentity, level: string, output: LogOutput): Logger {
  const logger = pino(
    {
      level,
      base: identity,
      formatters: { level: (label) => ({ level: label }), log: (fields) => besideIdentity(identity, fields) },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: [
          'token',
          '*.token',
          'sessionToken',
          '*.sessionToken',
          '*.password',
          '*.keyBase64',
          '*.secret',
        ],
        censor: '[redacted]',
      },
    },
    output,
  );
  output.onReturn((lost) =>
    logger.warn(
      { lost },
      'the log could not be written for a while and lines were lost; it is written again',
    ),
  );
  return logger;
}

/** A logger for tests: silent. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/**
 * Readers take the last field of a repeated name. So a line's own fields must never replace those of the process that
 * wrote it.
 */
function besideIdentity(identity: ProcessIdentity, fields: Record<string, unknown>): Record<string, unknown> {
  if (!Object.keys(identity).some((name) => Object.hasOwn(fields, name))) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      Object.hasOwn(identity, name) ? `subject${name.charAt(0).toUpperCase()}${name.slice(1)}` : name,
      value,
    ]),
  );
}
