/** Converts records of the registry to service metadata in Consul's catalog, and back. */
import { z } from 'zod';
import { patternText } from '../protocol/text.ts';
import type { AnnouncedAddresses } from '../registry/addresses.ts';
import { EDGE_RECORD, MEDIA_NODE_RECORD } from '../registry/registry.ts';
import type { EdgeRecord, MediaNodeRecord, PortSliceClaim } from '../registry/registry.ts';
import type { ServiceDefinition, ServiceInstance } from './consul-client.ts';
import type { ConsulNames } from './names.ts';

/** The service of a media node. It contains no values that change every second: each change costs a raft write. */
export function mediaNodeService(
  names: ConsulNames,
  record: MediaNodeRecord,
  leaseMs: number,
): ServiceDefinition {
  const { mediaNodeId, incarnation, portSlice } = record;
  return {
    id: names.serviceId('media-node', mediaNodeId, incarnation),
    name: names.service('media-node'),
    ...hostAndPort(record.controlUrl),
    meta: {
      id: mediaNodeId,
      incarnation,
      datacenter: record.datacenter,
      version: String(record.controlVersion),
      'control-url': record.controlUrl,
      ...operatorMeta(record),
      ...addressMeta(record),
      'first-port': String(portSlice.firstPort),
      'last-port': String(portSlice.lastPort),
      state: record.state,
      'max-peers': String(record.maxPeers),
      'lease-ms': String(leaseMs),
    },
    ttlMs: leaseMs,
  };
}

/**
 * The service of a media node that is not announced yet, which its claims depend on. Its check is renewed as a
 * warning only, so that nobody lists it.
 */
export function candidateService(
  names: ConsulNames,
  claim: PortSliceClaim,
  leaseMs: number,
): ServiceDefinition {
  const { mediaNodeId, incarnation, announcedAddress } = claim;
  return {
    id: names.serviceId('media-node', mediaNodeId, incarnation),
    name: names.service('media-node'),
    address: announcedAddress,
    port: 0,
    meta: {
      id: mediaNodeId,
      incarnation,
      ...addressMeta(claim),
      state: 'starting',
      'lease-ms': String(leaseMs),
    },
    ttlMs: leaseMs,
  };
}

export function edgeService(names: ConsulNames, record: EdgeRecord, leaseMs: number): ServiceDefinition {
  return {
    id: names.serviceId('edge', record.edgeId, record.incarnation),
    name: names.service('edge'),
    ...hostAndPort(record.publicUrl),
    meta: {
      id: record.edgeId,
      incarnation: record.incarnation,
      datacenter: record.datacenter,
      'public-url': record.publicUrl,
      ...operatorMeta(record),
      state: record.state,
      ...(record.proof === undefined ? {} : { proof: record.proof }),
      ...(record.isClockOff === true ? { 'clock-off': 'true' } : {}),
      ...(record.isPubSubOff === true ? { 'pubsub-off': 'true' } : {}),
      'lease-ms': String(leaseMs),
    },
    ttlMs: leaseMs,
  };
}

const NUMBER = patternText(/^\d{1,15}$/, 15, 'must be a number').transform(Number);

/** A media node from its service's metadata, which omit load and number of peers: both are zero. */
export const MEDIA_NODE_META = z
  .object({ version: NUMBER, 'first-port': NUMBER, 'last-port': NUMBER, 'max-peers': NUMBER })
  .loose()
  .transform((meta) => ({
    mediaNodeId: meta['id'],
    incarnation: meta['incarnation'],
    datacenter: meta['datacenter'],
    controlVersion: meta.version,
    controlUrl: meta['control-url'],
    ...('operator-url' in meta ? { operatorUrl: meta['operator-url'] } : {}),
    announcedAddress: meta['announced-address'],
    ...('announced-ipv6' in meta ? { announcedIpv6: meta['announced-ipv6'] } : {}),
    portSlice: { firstPort: meta['first-port'], lastPort: meta['last-port'] },
    state: meta['state'],
    load: { workerCpu: 0, controlCpu: 0 },
    peerCount: 0,
    maxPeers: meta['max-peers'],
  }))
  .pipe(MEDIA_NODE_RECORD);

export const EDGE_META = z
  .object({})
  .loose()
  .transform((meta) => ({
    edgeId: meta['id'],
    incarnation: meta['incarnation'],
    datacenter: meta['datacenter'],
    publicUrl: meta['public-url'],
    ...('operator-url' in meta ? { operatorUrl: meta['operator-url'] } : {}),
    state: meta['state'],
    ...('proof' in meta ? { proof: meta['proof'] } : {}),
    ...(meta['clock-off'] === 'true' ? { isClockOff: true } : {}),
    ...(meta['pubsub-off'] === 'true' ? { isPubSubOff: true } : {}),
  }))
  .pipe(EDGE_RECORD);

/**
 * Whether an instance is alive: its own check passes, and none of its host's is critical. A warning marks an
 * announcement that is not granted yet.
 */
export function isLive({ id, checks }: ServiceInstance): boolean {
  const own = checks.find((check) => check.id === id);
  return own?.status === 'passing' && !checks.some(({ status }) => status === 'critical');
}

const addressMeta = ({ announcedAddress, announcedIpv6 }: AnnouncedAddresses): Record<string, string> => ({
  'announced-address': announcedAddress,
  ...(announcedIpv6 === undefined ? {} : { 'announced-ipv6': announcedIpv6 }),
});

const operatorMeta = ({
  operatorUrl,
}: {
  readonly operatorUrl?: string | undefined;
}): Record<string, string> => (operatorUrl === undefined ? {} : { 'operator-url': operatorUrl });

function hostAndPort(url: string): { readonly address: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url);
  const standard = protocol === 'https:' ? 443 : 80;
  return { address: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? standard : Number(port) };
}
