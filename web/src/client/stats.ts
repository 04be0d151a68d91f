import type { ConsumerId, MediaKind, PeerId, TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';
import type { Publisher } from './publisher.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Statistics of one received track, since it was subscribed to. */
export interface ReceivedTrackStats {
  readonly trackId: TrackId;
  readonly consumerId: ConsumerId;
  readonly peerId: PeerId;
  readonly kind: MediaKind;
  readonly source: TrackSource;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** Video only; 0 for audio. */
  readonly framesDecoded: number;
  readonly frameWidth: number;
  readonly frameHeight: number;
  /** Audio only: grows while sound arrives (W3C webrtc-stats), if the track is played. */
  readonly totalAudioEnergy: number;
  /** Audio only: 0 to 1. */
  readonly audioLevel: number;
}

export interface SentTrackStats {
  readonly source: TrackSource;
  readonly bytesSent: number;
  readonly packetsSent: number;
  readonly framesEncoded: number;
  /** Simulcast layers that are sent now. A browser short of CPU sends fewer than allowed. */
  readonly layers: number;
  /** Simulcast layers that may be sent. */
  readonly allowedLayers: number;
}

export interface MeetingStats {
  readonly received: readonly ReceivedTrackStats[];
  readonly sent: readonly SentTrackStats[];
  /** Round trip of the receiving transport, in milliseconds. */
  readonly roundTripMs: number | undefined;
}

/** Collects the browser's statistics of every track. A track that ends meanwhile is left out. */
export async function collectStats(
  subscriptions: Subscriptions,
  publisher: Publisher,
  receive: types.Transport | undefined,
): Promise<MeetingStats> {
  const [received, sent, transport] = await Promise.all([
    Promise.all(
      subscriptions.consumers.map(async ({ offer, consumer }): Promise<ReceivedTrackStats | undefined> => {
        const entry = (await entriesOf(consumer)).find(({ type }) => type === 'inbound-rtp');
        return {
          trackId: offer.trackId,
          consumerId: offer.consumerId,
          peerId: offer.peerId,
          kind: offer.kind,
          source: offer.source,
          bytesReceived: numberOf(entry, 'bytesReceived'),
          packetsReceived: numberOf(entry, 'packetsReceived'),
          packetsLost: numberOf(entry, 'packetsLost'),
          framesDecoded: numberOf(entry, 'framesDecoded'),
          frameWidth: numberOf(entry, 'frameWidth'),
          frameHeight: numberOf(entry, 'frameHeight'),
          totalAudioEnergy: numberOf(entry, 'totalAudioEnergy'),
          audioLevel: numberOf(entry, 'audioLevel'),
        };
      }),
    ),
    Promise.all(
      publisher.producers.map(async ({ source, producer }): Promise<SentTrackStats> => {
        const layers = (await entriesOf(producer)).filter(({ type }) => type === 'outbound-rtp');
        const sum = (field: string): number =>
          layers.reduce((total, layer) => total + numberOf(layer, field), 0);
        return {
          source,
          bytesSent: sum('bytesSent'),
          packetsSent: sum('packetsSent'),
          framesEncoded: sum('framesEncoded'),
          layers: layers.filter((layer) => layer['active'] !== false && numberOf(layer, 'bytesSent') > 0)
            .length,
          allowedLayers: (producer.rtpSender?.getParameters().encodings ?? []).filter(
            ({ active }) => active !== false,
          ).length,
        };
      }),
    ),
    receive === undefined ? [] : entriesOf(receive),
  ]);
  const pair = transport.find((entry) => entry['type'] === 'candidate-pair' && entry['nominated'] === true);
  const roundTrip = pair?.['currentRoundTripTime'];
  return {
    received: received.filter((stats) => stats !== undefined),
    sent,
    roundTripMs: typeof roundTrip === 'number' ? roundTrip * 1_000 : undefined,
  };
}
