import { ENTRY_KINDS, leftOut } from '@plenary/cluster';
import type { EntryFaultSink, Logger, RareLines } from '@plenary/cluster';
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';

export type TransportKind = 'webrtc' | 'pipe';

/** All metrics of a media node, on a registry of their own, so that two nodes of one test process stay apart. */
export type NodeMetrics = ReturnType<typeof createMetrics>;

/** @param withProcess - also collect CPU, memory and event-loop figures of this process */
export function createMetrics(withProcess: boolean) {
  const registry = new Registry();
  const registers = [registry];
  if (withProcess) collectDefaultMetrics({ register: registry });
  const gauge = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ) => new Gauge<Label>({ name: `plenary_${name}`, help, labelNames: [...labelNames], registers });
  const counter = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ) => new Counter<Label>({ name: `plenary_${name}`, help, labelNames: [...labelNames], registers });

  const metrics = {
    registry,
    workers: gauge('media_workers', 'mediasoup workers that are alive'),
    workerDeaths: counter(
      'media_worker_deaths_total',
      'Workers that died (died), or that hung and were killed by the node (hung)',
      ['reason'],
    ),
    workerCpu: gauge('media_worker_cpu', 'CPU use of a worker, as a share of one core', ['worker']),
    workerFiles: gauge('media_worker_open_files', 'Open files of a worker; each worker has its own limit', [
      'worker',
    ]),
    load: gauge(
      'media_load',
      'Load by kind, as a share of what the node may use; placement uses the highest',
      ['kind'],
    ),
    routers: gauge('media_routers', 'Open routers'),
    transports: gauge('media_transports', 'Open transports', ['kind']),
    producers: gauge('media_producers', 'Open producers of peers of this node'),
    pipedProducers: gauge('media_piped_producers', 'Open copies of tracks whose home is another router'),
    consumers: gauge('media_consumers', 'Open consumers of peers'),
    pipeConsumers: gauge('media_pipe_consumers', 'Tracks that are sent into pipes'),
    observers: gauge('media_audio_observers', 'Open audio level observers'),
    rooms: gauge('media_rooms', 'Rooms with peers or tracks on this node'),
    peers: gauge('media_peers', 'Peers hosted here'),
    orphans: gauge('media_orphan_peers', 'Peers whose control link is lost'),
    pipes: gauge('media_pipes', 'Open pipe ends, by side: the one that requested the pipe, or the home', [
      'side',
    ]),
    controlLinks: gauge('media_control_links', 'Open control links, by kind of caller', ['caller']),
    nodeLinks: gauge('media_node_links', 'Control links that this node opened to others'),
    calls: counter('mediasoup_calls_total', 'Calls into mediasoup, including closing ones', ['method']),
    lost: counter('media_peers_lost_total', 'Peers that this node lost, by reason', ['reason']),
    unreachedPeers: counter(
      'media_unreached_peers_total',
      'Peers whose clients found no path to the announced address in four seconds',
    ),
    unreached: gauge(
      'media_unreached',
      '1 while nobody seems to find a path to the announced address, so that newcomers are placed on another node if there is one',
    ),
    noEdgeLink: gauge(
      'media_no_edge_link',
      '1 while edges serve and none has a control link to this node, so that nobody is sent to it',
    ),
    overLimit: counter(
      'media_over_limit_total',
      'Steps against peers that kept sending more than they may: warned, paused, ended, dropped',
      ['step'],
    ),
    resendExcesses: counter(
      'media_resend_excesses_total',
      'Peers that requested far more retransmissions than anybody needs: their media session was closed, and they get none for an hour',
    ),
    errors: counter('errors_total', 'Errors that the node answered or handled, by place and code', [
      'where',
      'code',
    ]),
    entryFaults: counter(
      'media_entry_faults_total',
      'Faults of this program at an entry point, each of which dropped one message, timer tick or call, by kind of entry',
      ['entry'],
    ),
    clockOffset: gauge(
      'media_clock_offset_seconds',
      'How far the clock of this host is ahead of that of Redis, in seconds; a media node works in any case',
    ),
    lostLogLines: counter(
      'media_lost_log_lines_total',
      'Log lines that could not be written: the disk was full, or nobody read them',
    ),
    refusedLinks: counter('media_refused_links_total', 'Control links that were refused, by code', ['code']),
    refusedConnections: counter(
      'media_refused_connections_total',
      'Connections to the control port that were closed before they proved who they are, by reason',
      ['reason'],
    ),
    refusedFrames: counter(
      'media_refused_frames_total',
      'Frames on control links that were not parsed, by reason: their message is refused, or their link closed',
      ['reason'],
    ),
    lease: gauge('media_lease_held', '1 while the lease in the registry is held'),
    malformedRecords: counter(
      'media_malformed_records_total',
      'Records in the store that were skipped because they do not parse, by kind, counted at each reading',
      ['kind'],
    ),
    repairs: counter(
      'media_repairs_total',
      'Repairs of the store by this node: lost tracks that it published again, and records of ended tracks that it removed',
      ['what'],
    ),
    limited: counter(
      'media_limited_total',
      'Requests refused because a budget was spent, by budget and resource',
      ['scope', 'resource'],
    ),
    store: gauge('store_available', '1 while the store answers'),
    storeTrouble: gauge(
      'store_trouble',
      'Why the store, or a part of it, is unavailable: 1 for the last reason found',
      ['reason'],
    ),
    consul: gauge('consul_available', '1 while Consul answers, or is not used'),
    consulTrouble: gauge(
      'consul_trouble',
      'Why Consul does not serve, or does not let the node announce itself: 1 for the last reason found',
      ['reason'],
    ),
    outbox: gauge('media_outbox', 'Changes that wait for the store to return'),
  };
  // A series that is absent until it is first used looks like a process that is not watched.
  for (const kind of ['webrtc', 'pipe'] as const) metrics.transports.set({ kind }, 0);
  for (const reason of ['died', 'hung']) metrics.workerDeaths.inc({ reason }, 0);
  for (const entry of ENTRY_KINDS) metrics.entryFaults.inc({ entry }, 0);
  for (const side of ['asking', 'home'] as const) metrics.pipes.set({ side }, 0);
  for (const kind of ['workerCpu', 'controlCpu', 'bandwidth', 'packets']) metrics.load.set({ kind }, 0);
  return metrics;
}

/** Notes what was thrown where nobody could cope with it: a bug of ours, of which somebody must hear (SPEC EN4). */
export function createEntrySink(metrics: NodeMetrics, logger: Logger, lines: RareLines): EntryFaultSink {
  return (entry, fault) => {
    metrics.entryFaults.inc({ entry });
    lines.say(entry, (unsaid) => {
      logger.error(
        { entry, err: fault, ...leftOut(unsaid) },
        'unexpected error at an entry point; its input was dropped',
      );
    });
  };
}
