import { oneLine, toPlenaryError } from '@plenary/cluster';
import type { PubSubConnection } from '@plenary/cluster';
import type { RoomId } from '@plenary/cluster/ids';
import type { CarriedEvent } from '@plenary/cluster/protocol';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import { readPublication } from './publication.ts';
import type { PublicationSeal } from './publication-seal.ts';

type MessageListener = (channel: Buffer, message: Buffer) => void;

const FOREIGN =
  'reading a publication: another cluster uses this PLENARY_NAMESPACE, an edge has another PLENARY_CLUSTER_SECRET, or somebody else writes to Redis';

export interface PubSubSettings {
  readonly publisher: PubSubConnection;
  readonly subscriber: PubSubConnection;
  /** What the channels begin with. */
  readonly channelPrefix: string;
  readonly seal: PublicationSeal;
  /** Told of what happens in rooms that this edge hears of. */
  readonly onRoomEvent: (roomId: RoomId, event: CarriedEvent['event']) => void;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * The two clients that the sharded adapter works with. The adapter lets the promises of its subscriptions go, and awaits
 * a publication before it delivers to local sockets; so here a subscription never rejects and is made again after each
 * outage, a publication fails at once while the store is away, so that one edge's clients hear each other, and one that no
 * edge would make is counted, and the first told.
 */
export function createPubSub(settings: PubSubSettings) {
  const { publisher, subscriber, channelPrefix, seal, onRoomEvent, metrics, reportFault } = settings;
  const told = new Set<string>();
  return {
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
            const { body, news } = readPublication(channelPrefix, channel, seal.open(channel, message));
            if (news !== undefined) onRoomEvent(news.roomId, news.event);
            listener(channel, body);
          } catch (fault) {
            // What is no publication of an edge is to end nobody's meeting (SPEC ST3, NS4, NS5).
            const isForeign = toPlenaryError(fault).code === 'unauthorised';
            const kind = isForeign ? 'foreign_publication' : 'publication';
            metrics.malformedRecords.inc({ kind });
            if (told.has(kind)) return;
            told.add(kind);
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
