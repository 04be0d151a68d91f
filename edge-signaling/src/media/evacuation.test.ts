import type { MediaNodeRecord } from '@plenary/cluster';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { Evacuation } from './evacuation.ts';

const LEASE_MS = 5_000;

/** Places peers on one media node whose link is up; another node is announced. */
async function peersOnOneNode(count: number) {
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
  /** Runs one check. @returns the number of clients that it requested to move */
  const movesOfNextCheck = (): number => {
    evacuation.check();
    return sockets.flatMap(({ told }) => told.splice(0)).filter((name) => name === 'media.move').length;
  };
  return { parts, link, world, movesOfNextCheck };
}

describe('Evacuation', () => {
  it('[DR8] moves no peer while its node is missing for two leases or less', async () => {
    const { world, movesOfNextCheck } = await peersOnOneNode(30);

    world.missingForMs = 2 * LEASE_MS;

    expect(movesOfNextCheck()).toBe(0);
  });

  it('[DR8] moves peers off a node that is missing for more than two leases, at most 20 at a check', async () => {
    const { world, movesOfNextCheck } = await peersOnOneNode(30);

    world.missingForMs = 2 * LEASE_MS + 1;

    expect([movesOfNextCheck(), movesOfNextCheck(), movesOfNextCheck()]).toEqual([20, 10, 0]);
  });

  it('[DR8] requests a move again after 10 s from peers that stay', async () => {
    const { parts, world, movesOfNextCheck } = await peersOnOneNode(30);
    world.missingForMs = 2 * LEASE_MS + 1;
    const first = [movesOfNextCheck(), movesOfNextCheck(), movesOfNextCheck()];

    parts.clock.advance(10_000);

    expect(first).toEqual([20, 10, 0]);
    expect([movesOfNextCheck(), movesOfNextCheck(), movesOfNextCheck()]).toEqual([20, 10, 0]);
  });

  it('[DR27] moves no peer while no other node is announced', async () => {
    const { world, movesOfNextCheck } = await peersOnOneNode(3);
    world.missingForMs = 60_000;

    world.announced = [];

    expect(movesOfNextCheck()).toBe(0);
  });

  it('[DR27] moves no peer while its node does not answer this edge either', async () => {
    const { world, link, movesOfNextCheck } = await peersOnOneNode(3);
    world.missingForMs = 60_000;

    link.isUp = false;
    const whileDown = movesOfNextCheck();
    link.isUp = true;
    const onceUp = movesOfNextCheck();

    expect([whileDown, onceUp]).toEqual([0, 3]);
  });
});
