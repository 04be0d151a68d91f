/** The media node's process: reads its configuration, connects the parts, and starts them. */
import '@plenary/cluster/thread-pool';
import {
  ClockWatch,
  ConfigError,
  connectClusterStore,
  createLogger,
  exitOnFault,
  guardCallback,
  FIRST_LINES,
  installNameLookups,
  openStandardOutput,
  RareLines,
  refuseDebugger,
  systemClock,
  watchEntries,
  watchParentPipe,
} from '@plenary/cluster';
import { loadConfig } from './config.ts';
import type { MediaNodeConfig } from './config.ts';
import { stopOnSignals } from './lifecycle.ts';
import type { Stoppable } from './lifecycle.ts';
import { MediaNode } from './media-node.ts';
import { createEntrySink, createMetrics } from './metrics.ts';
import { logWorkerFaults } from './engine/worker-log.ts';
import { keepForWorkers } from './worker-environment.ts';
import { StartRefused } from './start-refused.ts';

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function readConfig(): MediaNodeConfig {
  try {
    return loadConfig(process.env);
  } catch (error) {
    if (error instanceof ConfigError) refuse(error.message);
    throw error;
  }
}

const config = readConfig();
const { mediaNodeId, datacenter, logLevel, storeAddress, consul, parentPipe, drainMs } = config;
const output = openStandardOutput();
const logger = createLogger({ kind: 'media-node', id: mediaNodeId, datacenter }, logLevel, output);
exitOnFault(process, logger);
refuseDebugger(process, logger);
// mediasoup passes this process' environment on to its workers.
keepForWorkers(process.env);

const metrics = createMetrics(true);
output.onLost(guardCallback('signal', () => metrics.lostLogLines.inc()));
const workerLines = new RareLines(systemClock, FIRST_LINES);
logWorkerFaults(logger, workerLines);
const entryLines = new RareLines(systemClock, FIRST_LINES);
watchEntries(createEntrySink(metrics, logger, entryLines));
installNameLookups({ logger, lines: entryLines });
const store = connectClusterStore({
  address: storeAddress,
  namespace: config.namespace,
  consul,
  connectionName: `media-node:${mediaNodeId}`,
  logger,
});
store.onMalformed(guardCallback('store', (kind) => metrics.malformedRecords.inc({ kind })));
const clockWatch = new ClockWatch({
  store,
  clock: systemClock,
  logger,
  show: (seconds) => metrics.clockOffset.set(seconds),
});
clockWatch.start();
const stopClockWatch = async (): Promise<void> => Promise.resolve(clockWatch.stop());
const closeLines = async (): Promise<void> => {
  for (const lines of [workerLines, entryLines]) lines.close();
  return Promise.resolve();
};
const stoppables: Stoppable[] = [
  { stop: stopClockWatch },
  { stop: () => store.close() },
  { stop: closeLines },
];
let started: MediaNode | undefined;
const drain = (): Promise<unknown> | undefined => (drainMs === 0 ? undefined : started?.drain(drainMs));
const ending = stopOnSignals(process, stoppables, drain, logger);
if (parentPipe) {
  watchParentPipe(() => {
    ending.stop('the parent is gone');
  });
}
try {
  const node = await MediaNode.start({
    config,
    store,
    logger,
    metrics,
    onRefused: (error) => {
      process.stderr.write(`media node ${mediaNodeId} cannot run: ${error.message}\n`);
      ending.stop('the registry refuses this media node', 1);
    },
  });
  stoppables.unshift(node);
  started = node;
} catch (error) {
  if (!(error instanceof StartRefused)) throw error;
  refuse(`media node ${mediaNodeId} cannot start: ${error.message}`);
}
