import { edge } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, OWN_EDGE, ROOM, RecordingSocket, placedOf } from '../testing/edge-parts.ts';
import { SessionKeeper } from './session-keeper.ts';

const RESUME_MS = 5_000;

function keeping() {
  const parts = new EdgeParts();
  const { placements, localRooms, channel, clock, metrics, reportFault } = parts;
  const departures = parts.departures();
  const keeper = new SessionKeeper({
    isEnded: () => false,
    edgeId: OWN_EDGE,
    signToken: () => Promise.resolve('token'),
    resumeWithinMs: RESUME_MS,
    placements,
    localRooms,
    departures,
    tenantClaims: parts.tenantClaims,
    channel,
    remainingBudgets: { note: () => undefined },
    clock,
    metrics,
    reportFault,
  });
  return { parts, keeper };
}

/** A session whose connection broke. */
async function waiting() {
  const { parts, keeper } = keeping();
  const link = parts.links.add('node');
  const placement = await parts.place('ann', 'node');
  const socket = new RecordingSocket();
  keeper.onSocketClosed(parts.hold(placement, socket), socket);
  return { parts, link, placement };
}

describe('SessionKeeper', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE4] frees the media of a session that lapses after the store forgot it', async () => {
    const { parts, link, placement } = await waiting();
    parts.memory.clear();
    await vi.advanceTimersByTimeAsync(RESUME_MS);
    expect(link.payloads('peer.drop')).toEqual([placedOf(placement)]);
    expect(parts.localRooms.sessions()).toEqual([]);
  });

  it('[SE28] lapses no session that a resume on this very edge took up in the store, and not yet here', async () => {
    const { parts, link, placement } = await waiting();
    const { roomId, peerId, epoch } = placedOf(placement);
    await parts.placements.attachPeer(roomId, peerId, epoch, OWN_EDGE);
    await vi.advanceTimersByTimeAsync(RESUME_MS);
    expect(await parts.placements.placementOf(ROOM, peerId)).toBeDefined();
    expect(link.asked).toEqual([]);
  });

  it('[SE44] says that it has a session that is sought, unless its client is away', async () => {
    const { parts, keeper } = keeping();
    const here = await parts.place('here', 'node', undefined, edge('other'));
    const away = await parts.place('away', 'node', undefined, edge('other'));
    parts.hold(here, new RecordingSocket());
    parts.hold(away);
    await keeper.lookedUp(here.peerId);
    await keeper.lookedUp(away.peerId);
    expect((await parts.placements.placementOf(ROOM, here.peerId))?.edgeId).toBe(OWN_EDGE);
    expect((await parts.placements.placementOf(ROOM, away.peerId))?.edgeId).toBe('other');
  });
});
