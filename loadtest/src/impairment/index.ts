export { NO_IMPAIRMENT, roundTrip, type Endpoint, type Impairment, type RelayCounts } from './impairment.ts';
export { ImpairmentProxy, type ImpairmentProxyOptions, type RelayedPort } from './proxy.ts';
export { Distance, type DistanceOptions, type OneWay } from './distance.ts';
