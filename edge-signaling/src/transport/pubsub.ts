import { oneLine, toPlenaryError } from '@plenary/cluster';
import type { PubSubConnection } from '@plenary/cluster';
import type { RoomId } from '@plenary/cluster/ids';
import type { CarriedEvent } from '@plenary/cluster/protocol';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import { readPublication } from './publication.ts';
import type { PublicationSeal } from './publication-seal.ts';

/** Called for each event of a room that another edge published. */
type RoomEventListener = (roomId: RoomId, event: CarriedEvent['event']) => void;
type MessageListener = (channel: Buffer, message: Buffer) => void;

const FOREIGN =
  'reading a publication: another cluster uses this PLENARY_NAMESPACE, an edge has another PLENARY_CLUSTER_SECRET, or somebody else writes to Redis';

export interface PubSubSettings {
  readonly publisher: PubSubConnection;
  readonly subscriber: PubSubConnection;
  /** Prefix of all channel names. */
  readonly channelPrefix: string;
  readonly seal: PublicationSeal;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * The two Redis clients of the sharded adapter. The adapter ignores the promises of its subscriptions, and awaits a publication
 * before it delivers to local sockets. So a subscription never rejects here and is repeated after each outage. A publication
 * fails at once while the store is down, so that clients of one edge still receive each other's events. Publications that no
 * edge would make are counted, and the first of each kind is reported.
 */
export function createPubSub(settings: PubSubSettings) {
  const { publisher, subscriber, channelPrefix, seal, metrics, reportFault } = settings;
  const reported = new Set<string>();
  let onRoomEvent: RoomEventListener = () => undefined;
  return {
    /** Passes the events of rooms to this listener from now on. */
    deliverTo(listener: RoomEventListener): void {
      onRoomEvent = listener;
    },
    channelPrefix,
    publisher: {
      async spublish(channel: string, payload: string | Buffer): Promise<unknown> {
        try {
          const receivers = await publisher.publish(channel, seal.seal(channel, payload));
          metrics.broadcasts.inc({ result: 'published' });
          return receivers;
        } catch (fault) {
          metrics.broadcasts.inc({ result: 'local_only' });
          throw fault;
        }
      },
    },
    subscriber: {
      on(_event: 'smessageBuffer', listener: MessageListener): void {
        subscriber.onMessage((channel, message) => {
          try {
            const { body, roomEvent: news } = readPublication(
              channelPrefix,
              channel,
              seal.open(channel, message),
            );
            if (news !== undefined) onRoomEvent(news.roomId, news.event);
            listener(channel, body);
          } catch (fault) {
            // A publication that no edge made must not end a meeting (SPEC ST3, NS4, NS5).
            const isForeign = toPlenaryError(fault).code === 'unauthorised';
            const kind = isForeign ? 'foreign_publication' : 'publication';
            metrics.malformedRecords.inc({ kind });
            if (reported.has(kind)) return;
            reported.add(kind);
            const doing = isForeign ? FOREIGN : 'reading a publication';
            reportFault('adapter', fault, { doing, channel: oneLine(channel.toString().slice(0, 200)) });
          }
        });
      },
      ssubscribe(channel: string): void {
        subscriber.subscribe(channel);
      },
      sunsubscribe(channels: string | string[]): void {
        for (const channel of [channels].flat()) subscriber.unsubscribe(channel);
      },
    },
  };
}

export type PubSub = ReturnType<typeof createPubSub>;
