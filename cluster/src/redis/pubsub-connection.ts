import type { StoreTrouble } from './store-trouble.ts';

/** A separate connection for sharded pub/sub; the Socket.IO adapter needs one to publish and one to subscribe. */
export interface PubSubConnection {
  /** @throws Error at once while the store is down, or if it does not answer in time */
  publish(channel: string, payload: string | Buffer): Promise<unknown>;
  /** Subscribes, and again after each outage, until `unsubscribe`. Failures are reported, not thrown. */
  subscribe(channel: string): void;
  unsubscribe(channel: string): void;
  onMessage(listener: (channel: Buffer, message: Buffer) => void): void;
  /** The reason why pub/sub does not work here; `undefined` while all is well. */
  trouble(): StoreTrouble | undefined;
  close(): void;
}

export type ReportStoreFault = (fault: unknown) => void;
