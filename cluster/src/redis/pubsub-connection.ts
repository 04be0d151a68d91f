import type { StoreTrouble } from './store-trouble.ts';

/** A connection of its own for sharded pub/sub, as the Socket.IO adapter needs one to publish and one to subscribe. */
export interface PubSubConnection {
  /** @throws Error at once while the store is away, or when it does not answer in time */
  publish(channel: string, payload: string | Buffer): Promise<unknown>;
  /** Subscribes, and again after each outage, until `unsubscribe`. What fails on the way is reported, not thrown. */
  subscribe(channel: string): void;
  unsubscribe(channel: string): void;
  onMessage(listener: (channel: Buffer, message: Buffer) => void): void;
  /** Why nothing can be published or heard here now; `undefined` while all is well. */
  trouble(): StoreTrouble | undefined;
  close(): void;
}

export type ReportStoreFault = (fault: unknown) => void;
