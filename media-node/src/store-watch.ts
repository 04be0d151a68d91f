import { CONSUL_TROUBLES, guardCallback, showTrouble, STORE_TROUBLES } from '@plenary/cluster';
import type { NodeMetrics } from './metrics.ts';
import type { NodeStore } from './room/node-store.ts';

export interface StoreWatchListener {
  /** Redis answers again. */
  onStoreReturned(): void;
  /** Consul answers again. */
  onConsulReturned(): void;
}

/**
 * Shows in metrics whether the store and Consul answer, and notifies the listener when they answer again. @returns a
 * function that ends the watch
 */
export function watchStore(
  store: Pick<NodeStore, 'isAvailable' | 'onAvailability' | 'trouble' | 'onTrouble' | 'consul'>,
  metrics: Pick<NodeMetrics, 'store' | 'storeTrouble' | 'consul' | 'consulTrouble'>,
  listener: StoreWatchListener,
): () => void {
  const { consul } = store;
  metrics.store.set(store.isAvailable() ? 1 : 0);
  metrics.consul.set(consul?.isAvailable() === false ? 0 : 1);
  showTrouble(metrics.storeTrouble, STORE_TROUBLES, store.trouble?.());
  showTrouble(metrics.consulTrouble, CONSUL_TROUBLES, consul?.trouble);
  const endings = [
    store.onAvailability(
      guardCallback('store', (available) => {
        metrics.store.set(available ? 1 : 0);
        if (available) listener.onStoreReturned();
      }),
    ),
    store.onTrouble?.(
      guardCallback('store', (trouble) => showTrouble(metrics.storeTrouble, STORE_TROUBLES, trouble)),
    ),
    consul?.onChange(
      guardCallback('registry', (available) => {
        metrics.consul.set(available ? 1 : 0);
        if (available) listener.onConsulReturned();
      }),
    ),
    consul?.onTrouble(
      guardCallback('registry', (trouble) => showTrouble(metrics.consulTrouble, CONSUL_TROUBLES, trouble)),
    ),
  ];
  return () => {
    for (const end of endings) end?.();
  };
}
