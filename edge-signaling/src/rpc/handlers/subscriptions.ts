import { PlenaryError, forgetOldest } from '@plenary/cluster';
import type { RoomLog, TrackHome } from '@plenary/cluster';
import { MAX_CONSUMERS } from '@plenary/cluster/protocol';
import type { ClientReply } from '@plenary/cluster/protocol';
import { callsOfUpdates, costOf, costOfNoCalls, mergeUpdates } from '../../limits/cost.ts';
import type { PeerId } from '@plenary/cluster/ids';
import { askMediaNode } from './services.ts';
import type { EdgeMetrics, ReportFault } from '../../metrics.ts';
import type { LocalRooms } from '../../room/local-rooms.ts';
import type { Handler, LinkServices } from './services.ts';

export interface SubscriptionServices extends LinkServices {
  readonly roomLog: Pick<RoomLog, 'tracks'>;
  readonly localRooms: LocalRooms;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

export function handleSubscribe(
  services: Omit<SubscriptionServices, 'metrics' | 'reportFault'>,
): Handler<'subscribe'> {
  const { roomLog, localRooms } = services;
  return async ({ trackIds, epoch }, connection) => {
    const { session } = connection;
    const cache = localRooms.tracksOf(session.roomId);
    const wanted = [...new Set(trackIds)];
    const { found, whyMissing, hasAsked } = await cache.find(roomLog, session.roomId, wanted);
    if (!hasAsked) connection.adjustCharge({ store: -1 });
    const tracks: TrackHome[] = [];
    const failed: ClientReply<'subscribe'>['failed'] = [];
    for (const trackId of wanted) {
      const track = found.get(trackId);
      if (track === undefined) failed.push({ trackId, error: whyMissing.toWire() });
      else if (track.peerId === session.peerId) {
        failed.push({
          trackId,
          error: new PlenaryError('forbidden', 'It is a track of one’s own.').toWire(),
        });
      } else tracks.push(track);
    }
    const ofMedia = epoch ?? session.media.epoch;
    for (const track of tracks.splice(session.consumers.roomOn(ofMedia))) {
      const error = new PlenaryError('limit_reached', `At most ${MAX_CONSUMERS} consumers.`);
      failed.push({ trackId: track.trackId, error: error.toWire() });
    }
    const charged = costOf('subscribe', { trackIds: wanted }, connection.people);
    if (tracks.length === 0) {
      connection.adjustCharge(costOfNoCalls(charged, 0));
      return { consumers: [], failed };
    }
    const reply = await session.consumers.counting(
      ofMedia,
      () => session.mediaSessionOf(ofMedia) !== undefined,
      async () => askMediaNode(services, session, epoch, 'subscribe', (placed) => ({ ...placed, tracks })),
    );
    const gone = reply.failed.filter(({ error }) => error.code === 'track_not_found');
    cache.forget(gone.map(({ trackId }) => trackId));
    connection.adjustCharge(costOfNoCalls(charged, reply.calls));
    return { consumers: reply.consumers, failed: [...failed, ...reply.failed] };
  };
}

export function handleUnsubscribe(services: LinkServices): Handler<'unsubscribe'> {
  return async ({ epoch, consumerIds }, connection) => {
    const { session, people } = connection;
    const { calls } = await askMediaNode(services, session, epoch, 'unsubscribe', (placed) => ({
      ...placed,
      consumerIds: [...new Set(consumerIds)],
    }));
    session.consumers.closed(consumerIds);
    connection.adjustCharge(costOfNoCalls(costOf('unsubscribe', { consumerIds }, people), calls));
    return {};
  };
}

export function handleConsumersUpdate(services: LinkServices): Handler<'consumers.update'> {
  return async ({ epoch, consumers }, connection) => {
    const { session } = connection;
    const { calls } = await askMediaNode(services, session, epoch, 'consumers.update', (placed) => ({
      ...placed,
      consumers: mergeUpdates(consumers),
    }));
    connection.adjustCharge(costOfNoCalls({ mediasoup: callsOfUpdates(consumers) }, calls));
    return {};
  };
}

/** People whose failures were told that are remembered; the oldest are forgotten. */
const MAX_TOLD_OF = 10_000;

/** Told once a person in the log, since a client may say it again and again, and resume; the metric counts all of it (SPEC MS25). */
export function handleConsumerFailed(
  services: Omit<SubscriptionServices, 'roomLog' | 'localRooms'>,
): Handler<'consumer.failed'> {
  const { metrics, reportFault } = services;
  const told = new Set<PeerId>();
  return async ({ consumerId, trackId, epoch }, connection) => {
    const { session, people } = connection;
    const { calls } = await askMediaNode(services, session, epoch, 'unsubscribe', (placed) => ({
      ...placed,
      consumerIds: [consumerId],
    }));
    session.consumers.closed([consumerId]);
    connection.adjustCharge(costOfNoCalls(costOf('consumer.failed', { consumerId, trackId }, people), calls));
    metrics.consumerFailures.inc();
    const { roomId, peerId } = session;
    if (!told.has(peerId)) {
      told.add(peerId);
      forgetOldest(told, MAX_TOLD_OF);
      reportFault('consumer', new PlenaryError('cannot_consume'), { roomId, peerId, trackId });
    }
    return {};
  };
}
