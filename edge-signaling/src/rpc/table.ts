import { route } from '@plenary/cluster';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { DispatchTable } from './dispatch.ts';
import type { HandlerServices } from './handlers/services.ts';
import { handleChatPost, handleRosterPage, handleSync } from './handlers/room.ts';
import {
  handleEdgeCheck,
  handleJoin,
  handleLeave,
  handleResume,
  handleSessionConfirm,
} from './handlers/entry.ts';
import {
  handleMediaCheck,
  handleMediaMoved,
  handleMediaOpen,
  handleTransportConnect,
  handleTransportRestartIce,
} from './handlers/media.ts';
import {
  handleConsumerFailed,
  handleConsumersUpdate,
  handleSubscribe,
  handleUnsubscribe,
} from './handlers/subscriptions.ts';
import { handleTrackEnd, handleTrackPause, handleTrackPublish } from './handlers/tracks.ts';

/** One row for each request of the protocol: the compiler demands all of them. */
export function createDispatchTable(services: HandlerServices): DispatchTable {
  const options = { onFault: (fault: unknown) => services.reportFault('handler', fault) };
  return {
    join: route(CLIENT_REQUESTS.join, handleJoin(services), options),
    resume: route(CLIENT_REQUESTS.resume, handleResume(services), options),
    'session.confirm': route(CLIENT_REQUESTS['session.confirm'], handleSessionConfirm(services), options),
    leave: route(CLIENT_REQUESTS.leave, handleLeave(services), options),
    'edge.check': route(CLIENT_REQUESTS['edge.check'], handleEdgeCheck, options),
    'media.open': route(CLIENT_REQUESTS['media.open'], handleMediaOpen(services), options),
    'media.moved': route(CLIENT_REQUESTS['media.moved'], handleMediaMoved(services), options),
    'media.check': route(CLIENT_REQUESTS['media.check'], handleMediaCheck(services), options),
    'transport.connect': route(
      CLIENT_REQUESTS['transport.connect'],
      handleTransportConnect(services),
      options,
    ),
    'transport.restartIce': route(
      CLIENT_REQUESTS['transport.restartIce'],
      handleTransportRestartIce(services),
      options,
    ),
    'track.publish': route(CLIENT_REQUESTS['track.publish'], handleTrackPublish(services), options),
    'track.pause': route(CLIENT_REQUESTS['track.pause'], handleTrackPause(services), options),
    'track.end': route(CLIENT_REQUESTS['track.end'], handleTrackEnd(services), options),
    subscribe: route(CLIENT_REQUESTS.subscribe, handleSubscribe(services), options),
    unsubscribe: route(CLIENT_REQUESTS.unsubscribe, handleUnsubscribe(services), options),
    'consumer.failed': route(CLIENT_REQUESTS['consumer.failed'], handleConsumerFailed(services), options),
    'consumers.update': route(CLIENT_REQUESTS['consumers.update'], handleConsumersUpdate(services), options),
    'chat.post': route(CLIENT_REQUESTS['chat.post'], handleChatPost(services), options),
    'roster.page': route(CLIENT_REQUESTS['roster.page'], handleRosterPage(services), options),
    sync: route(CLIENT_REQUESTS.sync, handleSync(services), options),
  };
}
