import { freePort } from '@plenary/cluster/testing/ports';

/**
 * The address that a transport of a test listens on, with a port that no other test has. Without one mediasoup takes
 * any port from 10000 on, which may belong to the slice of another node.
 */
export async function onLoopback<Protocol extends 'udp' | 'tcp'>(
  protocol: Protocol,
): Promise<{ readonly protocol: Protocol; readonly ip: string; readonly port: number }> {
  return { protocol, ip: '127.0.0.1', port: await freePort() };
}
