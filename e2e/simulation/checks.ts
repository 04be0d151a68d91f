import { slicesOverlap } from '@plenary/cluster';
import type { DatacenterId, RoomId, TrackId } from '@plenary/cluster';
import { entryField } from '@plenary/cluster/protocol';
import type { EntryChange } from '@plenary/cluster/protocol';
import { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import type { SimulatedStore } from '@plenary/cluster/testing/simulation/store-server';
import type { SimulatedClient } from './client.ts';
import type { SimulatedEdge } from './edge.ts';
import type { ConsumerPart, Ether, ProducerPart } from './engine/host.ts';
import type { SimulatedRouter } from './engine/router.ts';
import type { SimulatedMediaNode } from './media-node.ts';

/** The processes and stores that the checks read. */
export interface Scene {
  readonly roomIds: readonly RoomId[];
  readonly store: SimulatedStore;
  readonly ether: Ether;
  readonly nodes: readonly SimulatedMediaNode[];
  readonly edges: readonly SimulatedEdge[];
  readonly clients: readonly SimulatedClient[];
}

/** A longer path from viewer to publisher than any plan has, so it must be a loop. */
const LONGEST_PATH = 8;

/**
 * [PL3] A media node hosts a peer under its live epoch only if the placement names that node. [EP7] The same holds for the
 * previous epoch while the peer moves.
 */
export function checkPlacements({ roomIds, store, nodes }: Scene): void {
  for (const roomId of roomIds) {
    const placements = store.watch.placements(roomId);
    const previousPlacements = store.watch.previousPlacements(roomId);
    for (const node of nodes) {
      for (const peer of node.rooms.room(roomId)?.peers() ?? []) {
        const { peerId, epoch } = peer.placed;
        const live = placements.get(peerId);
        if (live?.epoch === epoch && live.mediaNodeId !== node.plan.mediaNodeId)
          throw new RuleBroken(
            `PL3: ${peerId} of ${roomId} is hosted by ${node.life.name} under ${epoch}, which is ${live.mediaNodeId}'s`,
          );
        const previous = previousPlacements.get(peerId);
        if (previous?.epoch === epoch && previous.mediaNodeId !== node.plan.mediaNodeId)
          throw new RuleBroken(
            `EP7: ${peerId} of ${roomId} goes on at ${node.life.name} under ${epoch}, which is ${previous.mediaNodeId}'s`,
          );
      }
    }
  }
}

/** [PS2] No two nodes that believe to hold their lease own a port in common. */
export function checkSlices({ nodes }: Scene): void {
  const holders = nodes.filter((node) => node.lease.missing() === undefined);
  for (const [index, node] of holders.entries()) {
    for (const other of holders.slice(index + 1)) {
      if (node.portSlice === undefined || other.portSlice === undefined) continue;
      if (node.plan.host !== other.plan.host) continue;
      if (slicesOverlap(node.portSlice, other.portSlice))
        throw new RuleBroken(`PS2: ${node.life.name} and ${other.life.name} own ports in common`);
    }
  }
}

/** [GW2] The copies of each track form a tree with its home as the root. */
export function checkTrees({ nodes, ether }: Scene): void {
  for (const node of nodes) {
    for (const router of node.engine.routers.values()) {
      for (const producer of router.producers.values()) {
        let at: ProducerPart | undefined = producer;
        for (let step = 0; at !== undefined && at.origin.kind === 'pipe'; step += 1) {
          if (step > LONGEST_PATH)
            throw new RuleBroken(
              `GW2: ${producer.id} on ${router.id} comes from itself, round through ${at.id}`,
            );
          at = upstreamOf(ether, at)?.producer;
        }
      }
    }
  }
}

/** [GW2] At most one copy of each track crosses into a datacenter. */
export function checkOneCopy(scene: Scene): void {
  const { nodes, ether } = scene;
  const datacenters = new Map(nodes.map((node) => [node.engine.host, node.plan.datacenter]));
  const crossings = new Map<string, string>();
  for (const node of nodes) {
    for (const router of node.engine.routers.values()) {
      for (const producer of router.producers.values()) {
        const source = upstreamOf(ether, producer)?.router;
        const from: DatacenterId | undefined =
          source === undefined ? undefined : datacenters.get(source.host);
        if (from === undefined || from === node.plan.datacenter) continue;
        const key = `${producer.trackId} into ${node.plan.datacenter}`;
        const other = crossings.get(key);
        if (other !== undefined) throw new RuleBroken(`GW2: ${key} goes to ${other} and to ${router.id}`);
        crossings.set(key, router.id);
      }
    }
  }
}

/**
 * When no fault has happened for a while, the system is in its wanted state: media sessions are where the store says, clients
 * see the room as it is, wanted tracks flow from their publishers, and unwanted ones are not sent.
 */
export function checkSteadyState(scene: Scene): void {
  for (const client of scene.clients) checkClient(scene, client);
  checkMoves(scene);
  for (const node of scene.nodes) {
    for (const router of node.engine.routers.values()) {
      for (const producer of router.producers.values()) checkDemand(node, router, producer);
    }
  }
}

/**
 * [RE5] [RE9] Edges and clients know exactly the entries of the store, in its order, and no departed peer has one, whatever the
 * store lost meanwhile.
 */
export async function checkEntries({ roomIds, store, edges, clients }: Scene): Promise<void> {
  for (const roomId of roomIds) {
    const stored = await store.stores.entries.all(roomId);
    const placements = store.watch.placements(roomId);
    for (const { peerId, kind } of stored)
      if (peerId !== undefined && !placements.has(peerId))
        throw new RuleBroken(`RE7: ${peerId} has left ${roomId}, and its ${kind} entry is still there`);
    const live = linesOf(stored.filter(({ value }) => value !== undefined));
    for (const { plan, room, isJoined } of clients) {
      if (plan.roomId !== roomId || room === undefined || !isJoined) continue;
      const seen = linesOf([...room.entries.values()]);
      if (seen !== live) throw new RuleBroken(`RE9: ${plan.name} sees ${seen}, and the store has ${live}`);
    }
    for (const { plan, peerId, isHandUp, isJoined } of clients) {
      if (plan.roomId !== roomId || peerId === undefined || isHandUp === undefined || !isJoined) continue;
      const hasHand = stored.some((entry) => entry.peerId === peerId && entry.value !== undefined);
      if (hasHand !== isHandUp)
        throw new RuleBroken(
          `RE24: the hand of ${plan.name} is ${isHandUp ? 'up' : 'down'}, and the store says otherwise`,
        );
    }
    for (const edge of edges) {
      const { localRooms } = edge.core;
      if (localRooms.sessionsIn(roomId).length === 0) continue;
      const atEdge = linesOf(localRooms.entriesOf(roomId).all());
      const inStore = linesOf(stored);
      if (atEdge !== inStore)
        throw new RuleBroken(`RE6: ${edge.life.name} knows ${atEdge}, and the store has ${inStore}`);
    }
  }
}

/** Renders entries in their order, for comparison. */
const linesOf = (entries: readonly EntryChange[]): string =>
  entries
    .toSorted((left, right) => left.version - right.version)
    .map((entry) => `${entryField(entry)} ${entry.version} ${entry.value === undefined ? 'deleted' : 'live'}`)
    .join(', ');

/** [LG4] When everybody has left, no state of their rooms remains anywhere. */
export function checkFreed({ store, ether, nodes, edges, roomIds }: Scene): void {
  const remaining: string[] = [];
  for (const roomId of store.stores.rooms.roomIds()) {
    const placements = [...store.watch.placements(roomId).values()].map(
      ({ peerId, mediaNodeId, epoch, edgeId }) =>
        `${peerId} on ${mediaNodeId} under ${epoch} held by ${edgeId}`,
    );
    remaining.push(`${roomId} in the store with ${placements.join(' and ')}`);
  }
  if (store.tenants.claimCount > 0) remaining.push(`${store.tenants.claimCount} tenants' claims`);
  if (ether.ports.size > 0) remaining.push(`pipes: ${[...ether.ports.keys()].join(', ')}`);
  if (ether.ice.size > 0) remaining.push(`transports: ${[...ether.ice.keys()].join(', ')}`);
  for (const node of nodes) {
    if (node.engine.routers.size > 0)
      remaining.push(`routers: ${[...node.engine.routers.keys()].join(', ')}`);
    for (const roomId of roomIds) {
      if (node.rooms.room(roomId) !== undefined) remaining.push(`${roomId} on ${node.life.name}`);
    }
  }
  for (const edge of edges) {
    const sessions = edge.core.localRooms.sessions();
    if (sessions.length > 0) remaining.push(`${sessions.length} sessions on ${edge.life.name}`);
  }
  if (remaining.length > 0)
    throw new RuleBroken(`LG4: everybody left, and these remain: ${remaining.join('; ')}`);
}

/** [EP7] Every move is complete: nodes host peers only under their live placements. */
function checkMoves({ roomIds, store, nodes }: Scene): void {
  for (const roomId of roomIds) {
    const placements = store.watch.placements(roomId);
    for (const [peerId, { epoch }] of store.watch.previousPlacements(roomId))
      throw new RuleBroken(`EP7: ${peerId} of ${roomId} still goes on under ${epoch}`);
    for (const node of nodes) {
      for (const { placed } of node.rooms.room(roomId)?.peers() ?? []) {
        if (placements.get(placed.peerId)?.epoch === placed.epoch) continue;
        throw new RuleBroken(`EP7: ${node.life.name} still hosts ${placed.peerId} under ${placed.epoch}`);
      }
    }
  }
}

/** The consumer whose packets arrive at this producer, found by following the ports. */
function upstreamOf(ether: Ether, { origin, trackId }: ProducerPart): ConsumerPart | undefined {
  if (origin.kind === 'home') return undefined;
  const peer = ether.ports.get(origin.port)?.peer;
  return peer === undefined ? undefined : ether.ports.get(peer)?.sent.get(trackId);
}

function checkClient(scene: Scene, client: SimulatedClient): void {
  const { store, nodes } = scene;
  const { name, roomId } = client.plan;
  const { peerId, room } = client;
  if (!client.isJoined || peerId === undefined || room === undefined)
    throw new RuleBroken(`SE5: ${name} is not in its room`);
  const placement = store.watch.placements(roomId).get(peerId);
  const host = nodes.find((node) => node.plan.mediaNodeId === placement?.mediaNodeId);
  if (placement === undefined || host?.hostedEpoch(roomId, peerId) !== placement.epoch)
    throw new RuleBroken(`SE8: ${name} has a session, and no media where it is placed`);
  if (!client.isMediaOpen) throw new RuleBroken(`SE8: ${name} has no media`);
  for (const { source, trackId } of client.publications.values())
    if (trackId === undefined || !room.tracks.has(trackId))
      throw new RuleBroken(`EP3: ${name} publishes its ${source}, and it is not in the room`);
  const own = [...room.tracks.values()].filter((track) => track.peerId === peerId);
  if (own.length > client.publications.size)
    throw new RuleBroken(`EP3: ${name} publishes ${client.publications.size} tracks, and has ${own.length}`);
  for (const [trackId, demand] of client.demands) {
    const consumer = client.consumers.get(trackId);
    if (consumer === undefined) throw new RuleBroken(`PI5: ${name} wants ${trackId} and does not get it`);
    if (!demand.paused) checkFlow(scene, host, client, trackId, consumer.consumerId);
  }
}

/** A wanted track flows all the way from its publisher. */
function checkFlow(
  { ether }: Scene,
  host: SimulatedMediaNode,
  client: SimulatedClient,
  trackId: TrackId,
  consumerId: string,
): void {
  const producers = [...host.engine.routers.values()].flatMap((router) => [...router.producers.values()]);
  const consumer = producers.flatMap(({ consumers }) => [...consumers]).find(({ id }) => id === consumerId);
  if (consumer === undefined)
    throw new RuleBroken(`SE8: ${client.plan.name} has ${consumerId} of ${trackId}, which is not there`);
  if (consumer.paused)
    throw new RuleBroken(`PI10: ${client.plan.name} watches ${trackId}, and ${consumerId} is paused`);
  let at: ProducerPart = consumer.producer;
  while (at.origin.kind === 'pipe') {
    const sent = upstreamOf(ether, at);
    if (sent === undefined) throw new RuleBroken(`PI6: ${trackId} on ${at.origin.port} comes from nowhere`);
    if (sent.paused)
      throw new RuleBroken(`PI3: ${trackId} is watched, and paused in the pipe to ${at.origin.port}`);
    if (at.paused !== sent.producer.paused)
      throw new RuleBroken(`PI4: the publisher's mute of ${trackId} did not pass ${at.origin.port}`);
    at = sent.producer;
  }
}

/** [PI3], [DM1]: a track that nobody watches is not sent. */
function checkDemand(node: SimulatedMediaNode, router: SimulatedRouter, producer: ProducerPart): void {
  if (producer.origin.kind === 'home') return;
  const isWatched = [...producer.consumers].some((consumer) => !consumer.paused);
  if (isWatched) return;
  const sent = upstreamOf(node.engine.host.ether, producer);
  if (sent !== undefined && !sent.paused)
    throw new RuleBroken(`PI3: ${producer.id} is sent to ${router.id}, where nobody watches it`);
}
