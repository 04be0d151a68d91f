/** The parts of an edge that the simulation runs: all but its sockets. Only the simulation may import this file (see the import lint). */
export { EdgeCore } from './edge-core.ts';
export type { EdgeCoreOptions } from './edge-core.ts';
export { EdgeProofs } from './directory/edge-proofs.ts';
export { ControlLinks } from './media/control-links.ts';
export type { OwnedLink } from './media/control-links.ts';
export { noticeRoutes } from './media/notice-routes.ts';
export { UpWaiters } from './media/up-waiters.ts';
export type { ControlLinkListener } from './media/control-link.ts';
export { createEdgeMetrics } from './metrics.ts';
export type { ClientSocket, EdgeMessage, RoomChannel, SocketListener } from './transport/client-socket.ts';
