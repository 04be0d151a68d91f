import { ENTRY_KINDS, leftOut, toPlenaryError } from '@plenary/cluster';
import type { EntryFaultSink, Logger, RareLines } from '@plenary/cluster';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Joins aim at 300 ms on loopback and one second far away. */
const JOIN_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10];
const CALL_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

/**
 * What an edge counts. Labels are of closed sets only: message names of the protocol, codes of the error table, reasons
 * of unions, and API keys of the configuration, of which there are few (SPEC TN6); never an id of a room, a peer or a client.
 */
export function createEdgeMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    server: new Gauge({
      name: 'plenary_edge_server',
      help: 'HTTP server of the sockets: uws, or node where uWebSockets.js cannot load.',
      labelNames: ['server'],
      registers,
    }),
    sockets: new Gauge({ name: 'plenary_edge_sockets', help: 'Open client sockets.', registers }),
    sessions: new Gauge({
      name: 'plenary_edge_sessions',
      help: 'Sessions that this edge holds, by whether their socket is open.',
      labelNames: ['state'],
      registers,
    }),
    keySetReadings: new Counter({
      name: 'plenary_edge_key_set_readings_total',
      help: 'Readings of the key sets of applications by result: ok or failed. The last good one is kept.',
      labelNames: ['result'],
      registers,
    }),
    joins: new Counter({
      name: 'plenary_edge_joins_total',
      help: 'Joins by result: ok or the error code.',
      labelNames: ['result'],
      registers,
    }),
    tenantSessions: new Gauge({
      name: 'plenary_edge_tenant_sessions',
      help: 'Sessions that this edge holds, by tenant (API key): the first twenty by name, all.other together.',
      labelNames: ['tenant'],
      registers,
    }),
    tenantRooms: new Gauge({
      name: 'plenary_edge_tenant_rooms',
      help: 'Rooms with sessions on this edge, by tenant.',
      labelNames: ['tenant'],
      registers,
    }),
    tenantJoins: new Counter({
      name: 'plenary_edge_tenant_joins_total',
      help: 'Joins with a valid token, by tenant and result: ok or the error code.',
      labelNames: ['tenant', 'result'],
      registers,
    }),
    joinSeconds: new Histogram({
      name: 'plenary_edge_join_seconds',
      help: 'Seconds from a successful join to its answer.',
      buckets: JOIN_BUCKETS_SECONDS,
      registers,
    }),
    resumes: new Counter({
      name: 'plenary_edge_resumes_total',
      help: 'Resumes by result: ok or the error code.',
      labelNames: ['result'],
      registers,
    }),
    resumeSeconds: new Histogram({
      name: 'plenary_edge_resume_seconds',
      help: 'Seconds from a successful resume to its answer.',
      buckets: JOIN_BUCKETS_SECONDS,
      registers,
    }),
    waitingEntries: new Gauge({
      name: 'plenary_edge_waiting_entries',
      help: 'Joins, resumes and openings of media sessions that wait for their turn on this edge, and admissions that wait for their turn at a media node, by kind.',
      labelNames: ['kind'],
      registers,
    }),
    placements: new Counter({
      name: 'plenary_edge_placements_total',
      help: 'Placement decisions by reason.',
      labelNames: ['reason'],
      registers,
    }),
    messages: new Counter({
      name: 'plenary_edge_messages_total',
      help: 'Messages of clients by name and result; unknown names count as one.',
      labelNames: ['name', 'result'],
      registers,
    }),
    refusedConnections: new Counter({
      name: 'plenary_edge_refused_connections_total',
      help: 'Connections refused before they became sockets, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    refusedFrames: new Counter({
      name: 'plenary_edge_refused_frames_total',
      help: 'Frames of clients that were not parsed, by reason: their message is refused, or their connection closed.',
      labelNames: ['reason'],
      registers,
    }),
    dropped: new Counter({
      name: 'plenary_edge_dropped_sockets_total',
      help: 'Sockets that the edge closed with a bye, by error code.',
      labelNames: ['code'],
      registers,
    }),
    slowSockets: new Counter({
      name: 'plenary_edge_slow_sockets_total',
      help: 'Sockets closed because too much waited for a client that did not read; the client resumes.',
      registers,
    }),
    controlLinks: new Gauge({
      name: 'plenary_edge_control_links',
      help: 'Control links to media nodes by state.',
      labelNames: ['state'],
      registers,
    }),
    controlCallSeconds: new Histogram({
      name: 'plenary_edge_control_call_seconds',
      help: 'Seconds from a request to a media node to its answer, by name.',
      labelNames: ['name'],
      buckets: CALL_BUCKETS_SECONDS,
      registers,
    }),
    controlCalls: new Counter({
      name: 'plenary_edge_control_calls_total',
      help: 'Requests to media nodes by name and result.',
      labelNames: ['name', 'result'],
      registers,
    }),
    consumerFailures: new Counter({
      name: 'plenary_edge_consumer_failures_total',
      help: 'Consumers for which a client could not create a receiver.',
      registers,
    }),
    mediaLost: new Counter({
      name: 'plenary_edge_media_lost_total',
      help: 'Sessions that were told that their media session is lost, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    storeAvailable: new Gauge({
      name: 'plenary_edge_store_available',
      help: '1 while the store answers.',
      registers,
    }),
    storeTrouble: new Gauge({
      name: 'plenary_edge_store_trouble',
      help: 'Why the store, or a part of it, is unavailable: 1 for the last reason found.',
      labelNames: ['reason'],
      registers,
    }),
    pubSubTrouble: new Gauge({
      name: 'plenary_edge_pubsub_trouble',
      help: 'Why this edge and other edges do not hear each other although the store serves: 1 for the last reason found.',
      labelNames: ['reason'],
      registers,
    }),
    consulAvailable: new Gauge({
      name: 'plenary_edge_consul_available',
      help: '1 while Consul answers, or is not used.',
      registers,
    }),
    consulTrouble: new Gauge({
      name: 'plenary_edge_consul_trouble',
      help: 'Why Consul does not serve, or does not let the edge announce itself: 1 for the last reason found.',
      labelNames: ['reason'],
      registers,
    }),
    malformedRecords: new Counter({
      name: 'plenary_edge_malformed_records_total',
      help: 'Records in the store that were skipped because they do not parse, by kind, counted at each reading.',
      labelNames: ['kind'],
      registers,
    }),
    limited: new Counter({
      name: 'plenary_edge_limited_total',
      help: 'Requests refused, and connections closed for their frames, because a budget was spent, by budget and resource.',
      labelNames: ['scope', 'resource'],
      registers,
    }),
    broadcasts: new Counter({
      name: 'plenary_edge_broadcasts_total',
      help: 'Notices to rooms: published to other edges, or local only because the store was unavailable.',
      labelNames: ['result'],
      registers,
    }),
    departures: new Gauge({
      name: 'plenary_edge_pending_departures',
      help: 'Peers that left while the store was unavailable and are still to be removed.',
      registers,
    }),
    swept: new Counter({
      name: 'plenary_edge_swept_peers_total',
      help: 'Peers removed because nobody holds them any more, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    repairs: new Counter({
      name: 'plenary_edge_repairs_total',
      help: 'Repairs of the store by this edge: lost peers, events and entries of rooms that it published again, and records of peers that are gone.',
      labelNames: ['what'],
      registers,
    }),
    entryFaults: new Counter({
      name: 'plenary_edge_entry_faults_total',
      help: 'Faults of this program at an entry point, each of which dropped one message, timer tick or call, by kind of entry.',
      labelNames: ['entry'],
      registers,
    }),
    clockOffset: new Gauge({
      name: 'plenary_edge_clock_offset_seconds',
      help: 'How far the clock of this host is ahead of that of Redis, in seconds; tokens fail from 30 s on.',
      registers,
    }),
    lostLogLines: new Counter({
      name: 'plenary_edge_lost_log_lines_total',
      help: 'Log lines that could not be written: the disk was full, or nobody read them.',
      registers,
    }),
    faults: new Counter({
      name: 'plenary_edge_faults_total',
      help: 'Errors that the edge handled and only logged, by place.',
      labelNames: ['where'],
      registers,
    }),
  };
}

export type EdgeMetrics = ReturnType<typeof createEdgeMetrics>;

/** Notes an error that nothing else handled: a bug of ours, of which somebody must hear (SPEC EN4). */
export function createEntrySink(metrics: EdgeMetrics, logger: Logger, lines: RareLines): EntryFaultSink {
  // A series that is absent until it is first used looks like a process that is not watched.
  for (const kind of ENTRY_KINDS) metrics.entryFaults.inc({ entry: kind }, 0);
  return (kind, fault) => {
    metrics.entryFaults.inc({ entry: kind });
    lines.say(kind, (unsaid) => {
      logger.error(
        { entry: kind, err: fault, ...leftOut(unsaid) },
        'unexpected error at an entry point; its input was dropped',
      );
    });
  };
}

/** What the log says of an error that the edge handled, by where it happened: a closed set, since the place is a metric's label. */
const FAULT_LINES = {
  adapter: 'message between edges not published or not read; clients catch up from the event log',
  announce: 'registry entry of this edge not written; its lease goes on',
  background: 'background task failed; it runs again',
  control_link: 'request to a media node failed; it is sent again, or its peers are moved',
  control_notice: 'message of a media node refused',
  consumer: 'client cannot use a consumer',
  departure: 'peer not removed from the store or its media node; its lease or a sweep ends it',
  handler: 'client request failed unexpectedly; the client got an error',
  http: 'HTTP request failed unexpectedly',
  republish: 'room not republished; trying again in the next round',
  socket: 'client socket failed',
  sweep: 'lost record not mended; trying again in the next sweep',
  tenant: 'claim of a tenant not renewed or freed; it lapses by itself',
} as const;

/** Where an error happened that the edge handled. */
export type FaultPlace = keyof typeof FAULT_LINES;

/** Counts an error that the edge handled, and logs it as a warning. */
export type ReportFault = (where: FaultPlace, fault: unknown, detail?: Record<string, unknown>) => void;

/** Faults that others report: a stack would show only where the report was read. */
const HEARSAY: ReadonlySet<FaultPlace> = new Set(['consumer', 'control_notice']);

export function createFaultReporter(metrics: EdgeMetrics, logger: Logger, lines: RareLines): ReportFault {
  return (where, fault, detail = {}) => {
    metrics.faults.inc({ where });
    const { code, message } = toPlenaryError(fault);
    const told = HEARSAY.has(where) ? { code, reason: message } : { err: fault };
    // Strangers and the store decide how many there are.
    lines.say(`${where} ${code}`, (unsaid) => {
      logger.warn({ where, ...told, ...detail, ...leftOut(unsaid) }, FAULT_LINES[where]);
    });
  };
}
