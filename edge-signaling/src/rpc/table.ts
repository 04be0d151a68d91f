import { route } from '@plenary/cluster';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { costOf } from '../limits/cost.ts';
import { demandAllowed } from '../limits/meter.ts';
import type { DispatchTable } from './dispatch.ts';
import type { Handler, HandlerServices } from './handlers/services.ts';
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
import { versioned } from './versioned.ts';
import { handleTrackEnd, handleTrackPause, handleTrackPublish } from './handlers/tracks.ts';

/** Charges what a request costs before it is carried out: it costs as much when it fails (SPEC BU4). */
export const charged =
  <Name extends ClientRequestName>(name: Name, handler: Handler<Name>): Handler<Name> =>
  async (request, connection) => {
    demandAllowed(connection.charge(costOf(name, request, connection.people)));
    return handler(request, connection);
  };

/** One row for each request of the protocol: the compiler demands all of them. */
export function createDispatchTable(services: HandlerServices): DispatchTable {
  const options = { onFault: (fault: unknown) => services.reportFault('handler', fault) };
  return {
    join: versioned(route(CLIENT_REQUESTS.join, charged('join', handleJoin(services)), options)),
    resume: versioned(route(CLIENT_REQUESTS.resume, charged('resume', handleResume(services)), options)),
    'session.confirm': route(
      CLIENT_REQUESTS['session.confirm'],
      charged('session.confirm', handleSessionConfirm(services)),
      options,
    ),
    leave: route(CLIENT_REQUESTS.leave, charged('leave', handleLeave(services)), options),
    'edge.check': route(CLIENT_REQUESTS['edge.check'], charged('edge.check', handleEdgeCheck), options),
    'media.open': route(
      CLIENT_REQUESTS['media.open'],
      charged('media.open', handleMediaOpen(services)),
      options,
    ),
    'media.moved': route(
      CLIENT_REQUESTS['media.moved'],
      charged('media.moved', handleMediaMoved(services)),
      options,
    ),
    'media.check': route(
      CLIENT_REQUESTS['media.check'],
      charged('media.check', handleMediaCheck(services)),
      options,
    ),
    'transport.connect': route(
      CLIENT_REQUESTS['transport.connect'],
      charged('transport.connect', handleTransportConnect(services)),
      options,
    ),
    'transport.restartIce': route(
      CLIENT_REQUESTS['transport.restartIce'],
      charged('transport.restartIce', handleTransportRestartIce(services)),
      options,
    ),
    'track.publish': route(
      CLIENT_REQUESTS['track.publish'],
      charged('track.publish', handleTrackPublish(services)),
      options,
    ),
    'track.pause': route(
      CLIENT_REQUESTS['track.pause'],
      charged('track.pause', handleTrackPause(services)),
      options,
    ),
    'track.end': route(CLIENT_REQUESTS['track.end'], charged('track.end', handleTrackEnd(services)), options),
    subscribe: route(CLIENT_REQUESTS.subscribe, charged('subscribe', handleSubscribe(services)), options),
    unsubscribe: route(
      CLIENT_REQUESTS.unsubscribe,
      charged('unsubscribe', handleUnsubscribe(services)),
      options,
    ),
    'consumer.failed': route(
      CLIENT_REQUESTS['consumer.failed'],
      charged('consumer.failed', handleConsumerFailed(services)),
      options,
    ),
    'consumers.update': route(
      CLIENT_REQUESTS['consumers.update'],
      charged('consumers.update', handleConsumersUpdate(services)),
      options,
    ),
    'chat.post': route(CLIENT_REQUESTS['chat.post'], charged('chat.post', handleChatPost(services)), options),
    'roster.page': route(
      CLIENT_REQUESTS['roster.page'],
      charged('roster.page', handleRosterPage(services)),
      options,
    ),
    sync: route(CLIENT_REQUESTS.sync, charged('sync', handleSync(services)), options),
  };
}
