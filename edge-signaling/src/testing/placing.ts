/** A placer over a store in memory and scripted media nodes, for unit tests. */
import { MemoryRegistry, silentLogger } from '@plenary/cluster';
import { datacenter, mediaNodeRecord, peer, request } from '@plenary/cluster/testing/samples';
import { Directory } from '../directory/directory.ts';
import { AdmissionGates } from '../entry/gates/admission-gates.ts';
import { Placer } from '../media/placer.ts';
import type { HostRequest } from '../media/placer.ts';
import { EdgeParts, OWN_EDGE, ROOM } from './edge-parts.ts';

/** For how long a node is remembered that is not announced any more, in milliseconds. */
export const LAPSED_FOR_MS = 10_000;

/** What a media node answers of a transport. */
export const TRANSPORT = {
  id: 'transport',
  iceParameters: { usernameFragment: 'user', password: 'aPasswordOf22Characters' },
  iceCandidates: [
    {
      foundation: 'udp',
      priority: 1,
      ip: '127.0.0.1',
      address: '127.0.0.1',
      protocol: 'udp',
      port: 1,
      type: 'host',
    },
  ],
  dtlsParameters: {
    role: 'auto',
    fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
  },
};

/** A placer over one media node, named `node`, and others. */
export async function placing(others: readonly string[] = [], parts = new EdgeParts(), admissionsAtOnce = 2) {
  const { placements, links, clock, metrics, reportFault } = parts;
  const registry = new MemoryRegistry(clock);
  for (const [index, name] of ['node', ...others].entries()) {
    // Slices that overlap would be refused.
    const firstPort = 20_000 + index * 100;
    const record = mediaNodeRecord(name, { portSlice: { firstPort, lastPort: firstPort + 99 } });
    await registry.announceMediaNode(record, 60_000);
  }
  const directory = new Directory({
    registry,
    clock,
    reportFault,
    lapsedForMs: LAPSED_FOR_MS,
    isProven: () => true,
  });
  directory.onRead(() => parts.onRead());
  await directory.refresh();
  const placer = new Placer({
    edgeId: OWN_EDGE,
    datacenter: datacenter('gra'),
    datacenterOrder: [],
    placements,
    directory,
    links,
    admissions: new AdmissionGates({
      atOnce: admissionsAtOnce,
      patienceMs: 8_000,
      clock,
      onWaiting: () => undefined,
    }),
    limits: { packingLimit: 10, maxRoomPeersPerNode: 1_000, maxJoinsPerNode: 1_000, maxLoad: 0.7 },
    maxPeersPerRoom: 1_000,
    maxPeersPerPerson: 1_000,
    drops: { drop: () => Promise.resolve() },
    clock,
    logger: silentLogger(),
    metrics,
  });
  const requestOf = async (more: Partial<HostRequest>): Promise<HostRequest> => ({
    roomId: ROOM,
    peerId: peer('ann'),
    requestId: request('join-ann'),
    media: { rtpCapabilities: { codecs: [] }, publish: false },
    view: await placements.view(ROOM),
    datacenter: undefined,
    roundTrips: [],
    deadlineMs: clock.monotonicMs() + 9_000,
    entrant: { owner: { address: '192.0.2.1', peer: 'ann' }, isWanted: () => true },
    place: { whileWaiting: async (waiting) => waiting(), whileSlow: async (waiting) => waiting() },
    ...more,
  });
  return { parts, registry, directory, placer, requestOf, link: links.add('node') };
}
