import { route } from '@plenary/cluster';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequest, ClientRequestName, RequestDefinition } from '@plenary/cluster/protocol';
import type { z } from 'zod';
import type { FeatureServices } from '../entries/change-entries.ts';
import type { Row } from '../features/feature.ts';
import { featureRoutes } from '../features/index.ts';
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

/** The requests, each with the type of its own payload: so a row can be made of any of them. */
const DEFINITIONS: {
  readonly [Name in ClientRequestName]: RequestDefinition & {
    readonly payload: z.ZodType<ClientRequest<Name>>;
  };
} = CLIENT_REQUESTS;

/** What handlers work with, by the file that they are in. */
export interface HandlerServices {
  readonly entry: EntryServices;
  readonly media: MediaServices;
  readonly tracks: TrackServices;
  readonly subscriptions: SubscriptionServices;
  readonly room: RoomServices;
  readonly features: FeatureServices;
}

/** One row for each request of the protocol: the compiler demands all of them. */
export function createDispatchTable(
  { entry, media, tracks, subscriptions, room, features }: HandlerServices,
  reportFault: ReportFault,
): DispatchTable {
  const options = { onFault: (fault: unknown) => reportFault('handler', fault) };
  const row: Row = (name, handler) => route(DEFINITIONS[name], charged(name, handler), options);
  return {
    join: versioned(row('join', handleJoin(entry))),
    resume: versioned(row('resume', handleResume(entry))),
    'session.confirm': row('session.confirm', handleSessionConfirm(entry)),
    leave: row('leave', handleLeave(entry)),
    'edge.check': row('edge.check', handleEdgeCheck),
    'media.open': row('media.open', handleMediaOpen(media)),
    'media.moved': row('media.moved', handleMediaMoved(media)),
    'media.check': row('media.check', handleMediaCheck(media)),
    'transport.connect': row('transport.connect', handleTransportConnect(media)),
    'transport.restartIce': row('transport.restartIce', handleTransportRestartIce(media)),
    'track.publish': row('track.publish', handleTrackPublish(tracks)),
    'track.pause': row('track.pause', handleTrackPause(tracks)),
    'track.end': row('track.end', handleTrackEnd(tracks)),
    subscribe: row('subscribe', handleSubscribe(subscriptions)),
    unsubscribe: row('unsubscribe', handleUnsubscribe(subscriptions)),
    'consumer.failed': row('consumer.failed', handleConsumerFailed(subscriptions)),
    'consumers.update': row('consumers.update', handleConsumersUpdate(subscriptions)),
    'chat.post': row('chat.post', handleChatPost(room)),
    'roster.page': row('roster.page', handleRosterPage(room)),
    sync: row('sync', handleSync(room)),
    ...featureRoutes(row, features),
  };
}
