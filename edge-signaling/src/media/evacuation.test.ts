import type { MediaNodeRecord } from '@plenary/cluster';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { Evacuation } from './evacuation.ts';

const LEASE_MS = 5_000;

async function people(count: number) {
  const parts = new EdgeParts();
  const link = parts.links.add('node');
  const sockets: RecordingSocket[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = new RecordingSocket();
    parts.hold(await parts.place(`peer-${index}`, 'node'), socket);
    sockets.push(socket);
  }
  const world: { announced: readonly MediaNodeRecord[]; missingForMs: number } = {
    announced: [mediaNodeRecord('another')],
    missingForMs: 0,
  };
  const evacuation = new Evacuation({
    localRooms: parts.localRooms,
    directory: {
      get mediaNodes() {
        return world.announced;
      },
      missingForMs: () => world.missingForMs,
    },
    links: parts.links,
    leaseMs: LEASE_MS,
    clock: parts.clock,
  });
  /** How many are asked to move now. */
  const look = (): number => {
    evacuation.check();
    return sockets.flatMap(({ told }) => told.splice(0)).filter((name) => name === 'media.move').length;
  };
  return { parts, link, world, look };
}

describe('Evacuation', () => {
  it('[DR8] asks those on a node that is missing for two leases to move, some at a time, and again who stays', async () => {
    const { parts, world, look } = await people(30);
    world.missingForMs = 2 * LEASE_MS;
    expect(look()).toBe(0);
    world.missingForMs += 1;
    expect([look(), look(), look()]).toEqual([20, 10, 0]);
    parts.clock.advance(10_000);
    expect([look(), look(), look()]).toEqual([20, 10, 0]);
  });

  it('[DR27] asks nobody where there is no other node, nor whose node does not answer either', async () => {
    const { world, link, look } = await people(3);
    world.missingForMs = 60_000;
    world.announced = [];
    expect(look()).toBe(0);
    world.announced = [mediaNodeRecord('another')];
    link.isUp = false;
    expect(look()).toBe(0);
    link.isUp = true;
    expect(look()).toBe(3);
  });
});
