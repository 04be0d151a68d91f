import type { ClusterStore } from '@plenary/cluster';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';

type Redis = ReturnType<ClusterStore['duplicate']>;
type MessageListener = (channel: Buffer, message: Buffer) => void;

export interface PubSubSettings {
  readonly publisher: Redis;
  readonly subscriber: Redis;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * The two clients that the sharded adapter works with. The adapter lets the promises of its subscriptions go, and awaits
 * a publication before it delivers to local sockets; so here a subscription never rejects and is made again with every
 * new connection, and a publication fails at once while the store is away, so that one edge's clients hear each other.
 */
export function createPubSub({ publisher, subscriber, metrics, reportFault }: PubSubSettings) {
  const wanted = new Set<string>();
  const failed = (fault: unknown): void => reportFault('adapter', fault);
  subscriber.on('ready', () => {
    for (const channel of wanted) subscriber.ssubscribe(channel).catch(failed);
  });
  return {
    publisher: {
      async spublish(channel: string, payload: string | Buffer): Promise<unknown> {
        try {
          if (publisher.status !== 'ready') throw new Error('The store is away.');
          const receivers = await publisher.spublish(channel, payload);
          metrics.broadcasts.inc({ result: 'published' });
          return receivers;
        } catch (fault) {
          metrics.broadcasts.inc({ result: 'local_only' });
          throw fault;
        }
      },
    },
    subscriber: {
      on(event: 'smessageBuffer', listener: MessageListener): void {
        subscriber.on(event, listener);
      },
      ssubscribe(channel: string): void {
        wanted.add(channel);
        if (subscriber.status === 'ready') subscriber.ssubscribe(channel).catch(failed);
      },
      sunsubscribe(channels: string | string[]): void {
        for (const channel of [channels].flat()) wanted.delete(channel);
        if (subscriber.status === 'ready') subscriber.sunsubscribe(...[channels].flat()).catch(failed);
      },
    },
  };
}

export type PubSub = ReturnType<typeof createPubSub>;
