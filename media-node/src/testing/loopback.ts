import { freePort } from '@plenary/cluster/testing/ports';

/**
 * Where a transport of a test listens: on a port that no other test has. Without one mediasoup takes any from 10000 on, which may be of
 * the slice of somebody's node.
 */
export async function onLoopback<Protocol extends 'udp' | 'tcp'>(
  protocol: Protocol,
): Promise<{ readonly protocol: Protocol; readonly ip: string; readonly port: number }> {
  return { protocol, ip: '127.0.0.1', port: await freePort() };
}
