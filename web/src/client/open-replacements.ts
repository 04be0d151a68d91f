import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import type { RequestEdge } from './request-edge.ts';
import { newReceived, type ReceivedConsumer } from './subscription.ts';

export interface OpenReplacementsEnvironment {
  readonly request: RequestEdge;
  readonly consume: (media: MediaSession, offer: ConsumerOffer) => Promise<types.Consumer>;
  /** Called when the browser could not create a receiver. */
  readonly reportFailed: (media: MediaSession, offer: ConsumerOffer, error: PlenaryError) => void;
  readonly log: ClientLog;
}

/** A track to subscribe to, and the consumer that it replaces. */
export interface WantedReplacement {
  readonly trackId: TrackId;
  readonly old: ReceivedConsumer | undefined;
}

/**
 * Opens consumers that replace others, and resumes them with the same layers. Handles its own errors: the result lacks the consumers that
 * failed.
 */
export async function openReplacements(
  { request, consume, reportFailed: tellFailed, log }: OpenReplacementsEnvironment,
  media: MediaSession,
  replacements: readonly WantedReplacement[],
): Promise<ReadonlyMap<TrackId, ReceivedConsumer>> {
  const { epoch } = media;
  const opened = new Map<TrackId, ReceivedConsumer>();
  try {
    const trackIds = replacements.map(({ trackId }) => trackId);
    const { consumers, failed } = await request('subscribe', { trackIds, epoch });
    for (const { trackId, error } of failed)
      log.warn(`no replacement consumer for track ${trackId}; the old one stays`, error.message);
    // All calls in one turn share one negotiation.
    const results = await Promise.allSettled(consumers.map((offer) => consume(media, offer)));
    const toResume: { readonly next: ReceivedConsumer; readonly spatialLayer: number | undefined }[] = [];
    for (const [index, offer] of consumers.entries()) {
      const result = results[index];
      const old = replacements.find(({ trackId }) => trackId === offer.trackId)?.old;
      if (result?.status !== 'fulfilled' || old === undefined) {
        log.warn(`no replacement consumer for track ${offer.trackId}; the old one stays`);
        if (result?.status === 'rejected') tellFailed(media, offer, toPlenaryError(result.reason));
        continue;
      }
      const { hiddenSinceMs, spatialLayer, paused } = old;
      const next = { ...newReceived(offer, result.value, media), hiddenSinceMs };
      opened.set(offer.trackId, next);
      if (!paused && offer.kind === 'video') toResume.push({ next, spatialLayer });
    }
    if (toResume.length === 0) return opened;
    await request('consumers.update', {
      epoch,
      consumers: toResume.map(({ next: { offer }, spatialLayer }) => ({
        consumerId: offer.consumerId,
        paused: false,
        preferredLayers: spatialLayer === undefined ? undefined : { spatialLayer },
      })),
    });
    for (const { next, spatialLayer } of toResume) {
      next.paused = false;
      next.spatialLayer = spatialLayer;
    }
  } catch (thrown) {
    log.warn('replacement consumers could not be opened; the old ones stay', toPlenaryError(thrown).message);
  }
  return opened;
}
