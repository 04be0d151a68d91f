/**
 * The parts of a media node that the simulation runs: all but sockets and mediasoup. Only the simulation may import
 * this file (see the import lint).
 */
export type { SliceSource } from './config.ts';
export type { AcceptedControlLink } from './control/accepted-control-link.ts';
export { createDispatch } from './control/dispatch.ts';
export { NodeBudgets } from './control/node-budgets.ts';
export { NodeDirectory } from './control/node-directory.ts';
export type {
  ClientTransport,
  MediaConsumer,
  MediaProducer,
  PipeTransport,
  RoomRouter,
  Workers,
} from './engine/engine.ts';
export type { IceChange } from './engine/client-transport.ts';
export type { ConsumerEvents } from './engine/media-consumer.ts';
export { PauseSwitch } from './engine/pause-switch.ts';
export { LeaseKeeper } from './lease-keeper.ts';
export { announcedAddresses } from './media-address.ts';
export type { MediaAddresses } from './media-address.ts';
export { createMetrics } from './metrics.ts';
export type { HomeSide, PipeRequester, PipeKey, RemoteNode, RemoteNodes } from './pipe/home-side.ts';
export { UNKNOWN_MACHINE } from './pipe/machine.ts';
export { GATEWAY_PATIENCE_MS } from './pipe/track-routes.ts';
export { claimSlice } from './slice-claim.ts';
export type { PortMachine } from './slice-claim.ts';
export { NoResends } from './room/no-resends.ts';
export { EventOutbox } from './room/event-outbox.ts';
export { AddressReachability } from './room/address-reachability.ts';
export { Rooms } from './room/rooms.ts';
export { systemTimers } from '@plenary/cluster';
