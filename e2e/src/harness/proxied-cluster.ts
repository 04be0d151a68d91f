import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { ImpairmentProxy, NO_IMPAIRMENT } from '@plenary/loadtest/impairment';

/** The address that clients are given. The processes listen on 127.0.0.1, and the proxies connect the two. */
const PROXY_ADDRESS = '127.0.0.2';

/** A cluster of one edge and one media node that clients reach by three paths, each of which a test can impair. */
export interface ProxiedCluster {
  readonly cluster: LocalCluster;
  readonly edgeUrl: string;
  /** The paths: media over UDP, media over TCP, and signalling. */
  readonly udp: ImpairmentProxy;
  readonly tcp: ImpairmentProxy;
  readonly edge: ImpairmentProxy;
  stop(): Promise<void>;
}

/** @param edgeEnv - the edge's environment */
export async function startProxiedCluster(edgeEnv: Record<string, string>): Promise<ProxiedCluster> {
  const cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    logLevel: 'warn',
    edge: () => ({ env: { PLENARY_ALLOWED_ORIGINS: '*', ...edgeEnv } }),
    listenIp: '127.0.0.1',
    mediaNode: () => ({ announcedAddress: PROXY_ADDRESS }),
  });
  const opened: ImpairmentProxy[] = [];
  const open = async (protocol: 'udp' | 'tcp', port: number): Promise<ImpairmentProxy> => {
    const [listen, target] = [
      { host: PROXY_ADDRESS, port },
      { host: '127.0.0.1', port },
    ];
    const links = [{ protocol, listen, target }];
    const proxy = await ImpairmentProxy.start({ links, impairment: NO_IMPAIRMENT });
    opened.push(proxy);
    return proxy;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(opened.map((proxy) => proxy.close()));
    await cluster.stop();
  };
  try {
    const edgePort = Number(new URL(cluster.edges[0]?.url ?? '').port);
    // The only worker's WebRTC port is the first of the slice.
    const mediaPort = cluster.mediaNodes[0]?.portSlice.first ?? 0;
    const [udp, tcp, edge] = await Promise.all([
      open('udp', mediaPort),
      open('tcp', mediaPort),
      open('tcp', edgePort),
    ]);
    return { cluster, edgeUrl: `http://${PROXY_ADDRESS}:${edgePort}`, udp, tcp, edge, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
