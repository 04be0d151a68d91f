import type { TrackId } from '@plenary/cluster/protocol';
import type { MediaSession } from './media-session.ts';
import type { ConsumerChange, ConsumerView } from './plan-subscriptions.ts';
import type { RequestEdge } from './request-edge.ts';
import { viewOf, type ReceivedConsumer } from './subscription.ts';

/** Applies changes of consumers to the local state. @returns a function that undoes them */
export function noteChanges(
  changes: readonly ConsumerChange[],
  shownOf: (trackId: TrackId) => ReceivedConsumer | undefined,
): () => void {
  const before = new Map<TrackId, ConsumerView>();
  for (const { trackId, paused, preferredLayers } of changes) {
    const received = shownOf(trackId);
    if (received === undefined) continue;
    before.set(trackId, viewOf(received));
    if (paused !== undefined) {
      received.paused = paused;
      received.hiddenSinceMs = paused ? performance.now() : undefined;
    }
    if (preferredLayers !== undefined) received.spatialLayer = preferredLayers.spatialLayer;
  }
  return () => {
    for (const [trackId, { paused, spatialLayer }] of before) {
      const received = shownOf(trackId);
      if (received === undefined) continue;
      received.paused = paused;
      received.spatialLayer = spatialLayer;
    }
  };
}

/** @throws PlenaryError the edge's refusal */
export async function requestChanges(
  request: RequestEdge,
  { epoch }: MediaSession,
  changes: readonly ConsumerChange[],
): Promise<void> {
  await request('consumers.update', {
    epoch,
    consumers: changes.map(({ consumerId, paused, preferredLayers }) => ({
      consumerId,
      paused,
      preferredLayers,
    })),
  });
}
