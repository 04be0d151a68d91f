import { route } from '@plenary/cluster';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { costOf } from '../limits/cost.ts';
import { demandAllowed } from '../limits/meter.ts';
import type { DispatchTable } from './dispatch.ts';
import type { Handler } from './handlers/services.ts';
import { handleChatPost, handleRosterPage, handleSync } from './handlers/room.ts';
import type { RoomServices } from './handlers/room.ts';
import {
  handleEdgeCheck,
  handleJoin,
  handleLeave,
  handleResume,
  handleSessionConfirm,
} from './handlers/entry.ts';
import type { EntryServices } from './handlers/entry.ts';
import {
  handleMediaCheck,
  handleMediaMoved,
  handleMediaOpen,
  handleTransportConnect,
  handleTransportRestartIce,
} from './handlers/media.ts';
import type { MediaServices } from './handlers/media.ts';
import {
  handleConsumerFailed,
  handleConsumersUpdate,
  handleSubscribe,
  handleUnsubscribe,
} from './handlers/subscriptions.ts';
import type { SubscriptionServices } from './handlers/subscriptions.ts';
import { versioned } from './versioned.ts';
import { handleTrackEnd, handleTrackPause, handleTrackPublish } from './handlers/tracks.ts';
import type { TrackServices } from './handlers/tracks.ts';
import type { ReportFault } from '../metrics.ts';

/** Charges what a request costs before it is carried out: it costs as much when it fails (SPEC BU4). */
export const charged =
  <Name extends ClientRequestName>(name: Name, handler: Handler<Name>): Handler<Name> =>
  async (request, connection) => {
    demandAllowed(connection.charge(costOf(name, request, connection.people)));
    return handler(request, connection);
  };

/** What handlers work with, by the file that they are in. */
export interface HandlerServices {
  readonly entry: EntryServices;
  readonly media: MediaServices;
  readonly tracks: TrackServices;
  readonly subscriptions: SubscriptionServices;
  readonly room: RoomServices;
}

/** One row for each request of the protocol: the compiler demands all of them. */
export function createDispatchTable(
  { entry, media, tracks, subscriptions, room }: HandlerServices,
  reportFault: ReportFault,
): DispatchTable {
  const options = { onFault: (fault: unknown) => reportFault('handler', fault) };
  return {
    join: versioned(route(CLIENT_REQUESTS.join, charged('join', handleJoin(entry)), options)),
    resume: versioned(route(CLIENT_REQUESTS.resume, charged('resume', handleResume(entry)), options)),
    'session.confirm': route(
      CLIENT_REQUESTS['session.confirm'],
      charged('session.confirm', handleSessionConfirm(entry)),
      options,
    ),
    leave: route(CLIENT_REQUESTS.leave, charged('leave', handleLeave(entry)), options),
    'edge.check': route(CLIENT_REQUESTS['edge.check'], charged('edge.check', handleEdgeCheck), options),
    'media.open': route(
      CLIENT_REQUESTS['media.open'],
      charged('media.open', handleMediaOpen(media)),
      options,
    ),
    'media.moved': route(
      CLIENT_REQUESTS['media.moved'],
      charged('media.moved', handleMediaMoved(media)),
      options,
    ),
    'media.check': route(
      CLIENT_REQUESTS['media.check'],
      charged('media.check', handleMediaCheck(media)),
      options,
    ),
    'transport.connect': route(
      CLIENT_REQUESTS['transport.connect'],
      charged('transport.connect', handleTransportConnect(media)),
      options,
    ),
    'transport.restartIce': route(
      CLIENT_REQUESTS['transport.restartIce'],
      charged('transport.restartIce', handleTransportRestartIce(media)),
      options,
    ),
    'track.publish': route(
      CLIENT_REQUESTS['track.publish'],
      charged('track.publish', handleTrackPublish(tracks)),
      options,
    ),
    'track.pause': route(
      CLIENT_REQUESTS['track.pause'],
      charged('track.pause', handleTrackPause(tracks)),
      options,
    ),
    'track.end': route(CLIENT_REQUESTS['track.end'], charged('track.end', handleTrackEnd(tracks)), options),
    subscribe: route(
      CLIENT_REQUESTS.subscribe,
      charged('subscribe', handleSubscribe(subscriptions)),
      options,
    ),
    unsubscribe: route(
      CLIENT_REQUESTS.unsubscribe,
      charged('unsubscribe', handleUnsubscribe(subscriptions)),
      options,
    ),
    'consumer.failed': route(
      CLIENT_REQUESTS['consumer.failed'],
      charged('consumer.failed', handleConsumerFailed(subscriptions)),
      options,
    ),
    'consumers.update': route(
      CLIENT_REQUESTS['consumers.update'],
      charged('consumers.update', handleConsumersUpdate(subscriptions)),
      options,
    ),
    'chat.post': route(CLIENT_REQUESTS['chat.post'], charged('chat.post', handleChatPost(room)), options),
    'roster.page': route(
      CLIENT_REQUESTS['roster.page'],
      charged('roster.page', handleRosterPage(room)),
      options,
    ),
    sync: route(CLIENT_REQUESTS.sync, charged('sync', handleSync(room)), options),
  };
}
