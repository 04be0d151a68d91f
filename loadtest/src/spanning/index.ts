/** Datacenters on this machine, for tests and measurements of the distance between them. */
export { NO_IMPAIRMENT, type Impairment } from '../impairment/index.ts';
export { SpanningCrowd } from './spanning-crowd.ts';
export { SpanningCluster, type SpanningOptions } from './spanning-cluster.ts';
