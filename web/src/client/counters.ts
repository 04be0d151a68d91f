/** Faults that the client handled. Support reports show them; tests assert that they are zero. */
export interface Counters {
  /** Messages of the edge that do not match their schema. */
  malformed: number;
  /** Notices whose name this client does not know. */
  unknownNotices: number;
  /** Requests that timed out. */
  timedOut: number;
  /** Events that arrived twice. */
  duplicateEvents: number;
  /** Requests for missing events of the room log. */
  syncs: number;
  reconnects: number;
  /** Handovers of the session to another edge while the current edge still served it. */
  handedOver: number;
  mediaReopened: number;
  /** Moves to another media node without an interruption. */
  moved: number;
  iceRestarts: number;
}

export function newCounters(): Counters {
  return {
    malformed: 0,
    unknownNotices: 0,
    timedOut: 0,
    duplicateEvents: 0,
    syncs: 0,
    reconnects: 0,
    handedOver: 0,
    mediaReopened: 0,
    moved: 0,
    iceRestarts: 0,
  };
}

/** The log for developers. */
export interface ClientLog {
  warn(message: string, details?: unknown): void;
}

export const consoleLog: ClientLog = {
  warn(message, details) {
    console.warn(`plenary: ${message}`, details ?? '');
  },
};
