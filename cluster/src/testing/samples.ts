/** Well-formed values for tests, so that each test spells only what it is about. */
import { mintIncarnation } from '../ids.ts';
import { CONTROL_VERSION } from '../protocol/edge-media.ts';
import {
  DATACENTER_ID,
  EDGE_ID,
  MEDIA_NODE_ID,
  PEER_ID,
  REQUEST_ID,
  ROOM_NAME,
  TENANT_ID,
  TRACK_ID,
  roomIdOf,
} from '../protocol/ids.ts';
import type { SessionKeyJwk } from '../protocol/session-key.ts';
import type { EdgeRecord, MediaNodeRecord } from '../registry/registry.ts';

export const roomName = (name: string) => ROOM_NAME.parse(name);
/** A room of the tenant `acme`, unless a test is about another. */
export const room = (name: string, of = 'acme') => roomIdOf(TENANT_ID.parse(of), roomName(name));
export const peer = (name: string) => PEER_ID.parse(name);
export const track = (name: string) => TRACK_ID.parse(name);
export const request = (name: string) => REQUEST_ID.parse(name);
export const edge = (name: string) => EDGE_ID.parse(name);
export const mediaNode = (name: string) => MEDIA_NODE_ID.parse(name);
export const tenant = (name: string) => TENANT_ID.parse(name);
export const datacenter = (name: string) => DATACENTER_ID.parse(name);

/** The curve's own base point: a public key whose private one is 1. */
export const SAMPLE_SESSION_KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
  y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
} as const satisfies SessionKeyJwk;

/** A serving, idle media node in datacenter `gra`. */
export function mediaNodeRecord(name: string, changes: Partial<MediaNodeRecord> = {}): MediaNodeRecord {
  return {
    mediaNodeId: mediaNode(name),
    incarnation: mintIncarnation(),
    datacenter: datacenter('gra'),
    controlVersion: CONTROL_VERSION,
    controlUrl: 'http://127.0.0.1:3100',
    announcedAddress: '127.0.0.1',
    portSlice: { firstPort: 20_000, lastPort: 20_099 },
    state: 'serving',
    load: { workerCpu: 0, controlCpu: 0, bandwidth: 0, packets: 0 },
    peerCount: 0,
    maxPeers: 1_000,
    recentJoins: 0,
    isUnreached: false,
    isSurelyUnreached: false,
    reportedAtMs: 0,
    ...changes,
  };
}

export function edgeRecord(name: string, changes: Partial<EdgeRecord> = {}): EdgeRecord {
  return {
    edgeId: edge(name),
    incarnation: mintIncarnation(),
    datacenter: datacenter('gra'),
    publicUrl: 'http://localhost:3000',
    state: 'serving',
    // By a key that no cluster has.
    proof: 'abcdefgh.abcdefghijklmnopqrstuw',
    ...changes,
  };
}
