import '@plenary/cluster/thread-pool';
import {
  ConfigError,
  connectClusterStore,
  createLogger,
  guardCallback,
  FIRST_LINES,
  installNameLookups,
  openStandardOutput,
  RareLines,
  systemClock,
  watchEntries,
  watchParentPipe,
} from '@plenary/cluster';
import { readEdgeConfig } from './config.ts';
import type { EdgeConfig } from './config.ts';
import { startEdge } from './edge.ts';
import { guardProcess } from './lifecycle.ts';
import { createEdgeMetrics, createEntrySink } from './metrics.ts';

function readConfigOrExit(): EdgeConfig {
  try {
    return readEdgeConfig(process.env);
  } catch (fault) {
    if (!(fault instanceof ConfigError)) throw fault;
    console.error(fault.message);
    process.exit(1);
  }
}

const config = readConfigOrExit();
const output = openStandardOutput();
const logger = createLogger(
  { kind: 'edge', id: config.edgeId, datacenter: config.datacenter },
  config.logLevel,
  output,
);
const metrics = createEdgeMetrics();
output.onLost(guardCallback('signal', () => metrics.lostLogLines.inc()));
const entryLines = new RareLines(systemClock, FIRST_LINES);
watchEntries(createEntrySink(metrics, logger, entryLines));
installNameLookups({ logger, lines: entryLines });
const store = connectClusterStore({
  address: config.storeAddress,
  namespace: config.namespace,
  consul: config.consul,
  connectionName: `edge:${config.edgeId}`,
  logger,
});

const starting = startEdge(config, { store, clock: systemClock, logger, metrics });
const { drainMs } = config;
const stoppable = {
  drain: () => (drainMs === 0 ? undefined : starting.then(async (edge) => edge.drain(drainMs))),
  stop: async () => {
    await (await starting).stop();
    entryLines.close();
  },
};
const stop = guardProcess(process, stoppable, logger);
if (process.env['PLENARY_PARENT_PIPE'] === '1') watchParentPipe(() => stop('the parent is gone'));

try {
  await starting;
} catch (fault) {
  logger.fatal({ err: fault }, 'edge cannot start; exiting');
  process.exit(1);
}
