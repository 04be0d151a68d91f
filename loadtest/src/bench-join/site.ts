import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { roundTrip } from '../impairment/index.ts';
import { ProxyThread } from './proxy-thread.ts';

/** The address announced to clients when the proxy is in front of the node, which listens on 127.0.0.1. */
const PROXY_ADDRESS = '127.0.0.2';
/** A cluster and the path to it. */
export interface Site {
  readonly cluster: LocalCluster;
  readonly edgeUrl: string;
  /** Absent without a round trip. */
  readonly proxy?: ProxyThread;
  close(): Promise<void>;
}

/** One edge and one media node with one worker; with a round trip, clients reach both through the proxy only. */
export async function startSite(roundTripMs: number): Promise<Site> {
  const common = {
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    web: false as const,
    logLevel: 'warn',
    edge: () => ({ env: { PLENARY_ALLOWED_ORIGINS: '*' } }),
  };
  if (roundTripMs === 0) {
    const cluster = await startLocalCluster(common);
    return { cluster, edgeUrl: firstOf(cluster.edges).url, close: () => cluster.stop() };
  }
  const cluster = await startLocalCluster({
    ...common,
    listenIp: '127.0.0.1',
    mediaNode: () => ({ announcedAddress: PROXY_ADDRESS }),
  });
  let proxy: ProxyThread | undefined;
  try {
    const edgePort = Number(new URL(firstOf(cluster.edges).url).port);
    // The one worker's WebRTC port is the first of the slice; the others are for pipes.
    const mediaPort = firstOf(cluster.mediaNodes).portSlice.first;
    const link = (protocol: 'udp' | 'tcp', port: number) => ({
      protocol,
      listen: { host: PROXY_ADDRESS, port },
      target: { host: '127.0.0.1', port },
    });
    proxy = await ProxyThread.start({
      links: [link('tcp', edgePort), link('udp', mediaPort), link('tcp', mediaPort)],
      impairment: roundTrip(roundTripMs),
    });
    const running = proxy;
    return {
      cluster,
      edgeUrl: `http://${PROXY_ADDRESS}:${edgePort}`,
      proxy: running,
      close: async () => {
        await running.close();
        await cluster.stop();
      },
    };
  } catch (error) {
    await proxy?.close();
    await cluster.stop();
    throw error;
  }
}

function firstOf<Item>(items: readonly Item[]): Item {
  const [first] = items;
  if (first === undefined) throw new Error('The cluster is empty.');
  return first;
}
