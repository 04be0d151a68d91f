import type { StoreAddress } from '../redis/store-address.ts';
import { connectTestStore } from './store-contracts.ts';

/** A process' two connections for pub/sub, and whether what one publishes reaches the other. */
export async function connectPubSubPair(address: StoreAddress, channels: readonly string[]) {
  const store = await connectTestStore(address);
  const publisher = store.duplicate('publisher', () => undefined);
  const subscriber = store.duplicate('subscriber', () => undefined);
  const heard = new Set<string>();
  subscriber.onMessage((_channel, message) => heard.add(String(message)));
  for (const channel of channels) subscriber.subscribe(channel);
  const publish = async (word: string): Promise<void> => {
    await Promise.allSettled(
      channels.map(async (channel) => publisher.publish(channel, `${channel} ${word}`)),
    );
  };
  const hears = (word: string): boolean => channels.every((channel) => heard.has(`${channel} ${word}`));
  const reaches = async (word: string): Promise<boolean> => {
    await publish(word);
    return hears(word);
  };
  return { store, publisher, subscriber, publish, hears, reaches };
}
