import { JoinKeys, KeySetCache, loadKeySet } from '@plenary/cluster';
import type { ApiKeys, Clock, Logger } from '@plenary/cluster';
import type { EdgeMetrics } from '../../metrics.ts';
import type { KeySetAddresses } from './key-settings.ts';

export interface OpenJoinKeys {
  readonly keys: JoinKeys;
  /** Begins to read the key sets. The edge starts even if none can be read. */
  start(): void;
  stop(): void;
}

/** The keys of join tokens as they are configured, with the key sets of applications kept up to date. */
export function openJoinKeys(
  settings: { readonly apiKeys: ApiKeys; readonly keySets: KeySetAddresses },
  {
    clock,
    logger,
    metrics,
  }: {
    readonly clock: Clock;
    readonly logger: Pick<Logger, 'warn' | 'info'>;
    readonly metrics: Pick<EdgeMetrics, 'keySetReadings'>;
  },
): OpenJoinKeys {
  const caches = new Map(
    [...settings.keySets].map(([apiKey, address]) => {
      let isFailing = false;
      let isUseless = false;
      const cache = new KeySetCache({
        load: async () => {
          const keys = await loadKeySet(address);
          if (keys.size === 0 && !isUseless)
            logger.warn(
              { apiKey, ...address },
              'key set of an API key holds no usable key; its join tokens by published keys are refused: a key needs a kid, and is EC P-256 or Ed25519',
            );
          isUseless = keys.size === 0;
          return keys;
        },
        clock,
        onRead: (fault) => {
          metrics.keySetReadings.inc({ result: fault === undefined ? 'ok' : 'failed' });
          // Logged when the fault begins and when it ends, because the key set is read again every few seconds.
          if (fault !== undefined && !isFailing) {
            const doing = 'its join tokens are checked with the keys that were read last, if any';
            logger.warn({ apiKey, ...address, err: fault }, `key set of an API key cannot be read: ${doing}`);
          } else if (fault === undefined && isFailing) {
            logger.info({ apiKey, ...address }, 'key set of an API key can be read again');
          }
          isFailing = fault !== undefined;
        },
      });
      return [apiKey, cache] as const;
    }),
  );
  return {
    keys: new JoinKeys(settings.apiKeys, caches),
    start: () => {
      for (const cache of caches.values()) cache.start();
    },
    stop: () => {
      for (const cache of caches.values()) cache.stop();
    },
  };
}
