/** What went wrong and was coped with; shown in support reports, and asserted to be zero in tests. */
export interface Counters {
  /** Messages of the edge that did not fit their schema. */
  malformed: number;
  /** Notices of a name that this client does not know. */
  unknownNotices: number;
  /** Requests whose answer did not come in time. */
  timedOut: number;
  /** Events that came twice. */
  duplicateEvents: number;
  /** Times that the event log had a gap and was asked for. */
  syncs: number;
  reconnects: number;
  /** Times that another edge took the session over while the one in use went on. */
  handedOver: number;
  mediaReopened: number;
  /** Times that media was moved to another node while it went on. */
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

/** Where the client writes what a developer should see. */
export interface ClientLog {
  warn(message: string, details?: unknown): void;
}

export const consoleLog: ClientLog = {
  warn(message, details) {
    console.warn(`plenary: ${message}`, details ?? '');
  },
};
