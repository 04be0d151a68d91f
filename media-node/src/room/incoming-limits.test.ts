import { describe, expect, test } from 'vitest';
import {
  allowedBitrate,
  DEFAULT_INCOMING_LIMITS,
  judgeExcess,
  NO_EXCESS,
  SLACK_BITRATE,
} from './incoming-limits.ts';
import { limitIncoming, PEERS_PER_ROUND } from './incoming-guard.ts';
import type { LimitedPeer } from './incoming-guard.ts';

/** Measures once a second, above the limit or not. */
function stepsOf(looks: readonly boolean[], everyMs = 1_000, timesLimit = 1.0001): (string | undefined)[] {
  let excess = NO_EXCESS;
  return looks.map((isAbove) => {
    const judged = judgeExcess(excess, isAbove ? timesLimit : 1, everyMs);
    excess = judged.excess;
    return judged.step;
  });
}
const times = (count: number, isAbove: boolean): boolean[] => Array.from({ length: count }, () => isAbove);

describe('the limit of a peer', () => {
  test('[MS5] is the sum of its tracks’ limits, and bounded', () => {
    const { camera, microphone } = DEFAULT_INCOMING_LIMITS.sourceBitrates;
    expect(allowedBitrate([], DEFAULT_INCOMING_LIMITS)).toBe(SLACK_BITRATE);
    expect(allowedBitrate(['camera', 'microphone'], DEFAULT_INCOMING_LIMITS)).toBe(
      camera + microphone + SLACK_BITRATE,
    );
    const all = Array.from({ length: 8 }, () => 'screen' as const);
    expect(allowedBitrate(all, DEFAULT_INCOMING_LIMITS)).toBe(DEFAULT_INCOMING_LIMITS.peerBitrate);
  });
});

describe('a peer that keeps exceeding its limit', () => {
  test('[MS5] is warned, paused, ended and dropped, each once', () => {
    const steps = stepsOf(times(40, true));
    expect(steps.map((step, index) => step && [index + 1, step]).filter(Boolean)).toEqual([
      [3, 'warned'],
      [8, 'paused'],
      [14, 'ended'],
      [24, 'dropped'],
    ]);
  });

  test('[MS29] is stopped sooner the more it sends, but never after one measurement', () => {
    const lookOf = (step: string, timesLimit: number): number =>
      1 + stepsOf(times(40, true), 1_000, timesLimit).indexOf(step);
    expect(lookOf('paused', 1.7)).toBe(5);
    expect([
      lookOf('warned', 100),
      lookOf('paused', 100),
      lookOf('ended', 100),
      lookOf('dropped', 100),
    ]).toEqual([1, 2, 4, 6]);
  });

  test('[MS30] recovers as slowly as it exceeded, and is then warned again', () => {
    expect(stepsOf([...times(2, true), ...times(2, false), ...times(2, true)])).not.toContain('warned');
    const again = stepsOf([...times(4, true), ...times(4, false), ...times(3, true)]);
    expect(again.filter((step) => step === 'warned')).toHaveLength(2);
    const flapping = stepsOf(Array.from({ length: 200 }, (_, index) => index % 4 !== 0));
    expect(flapping).toContain('ended');
  });

  test('[MS32] is not charged for time without measurements', () => {
    expect(stepsOf([true, true], 60_000)).toEqual([undefined, 'warned']);
  });
});

describe('the watch', () => {
  class Sender implements LimitedPeer {
    closed = false;
    looks = 0;
    #bytes = 0;
    readonly steps: string[] = [];
    readonly bytesPerLook: number;
    constructor(bytesPerLook: number) {
      this.bytesPerLook = bytesPerLook;
    }
    sources() {
      return ['microphone'] as const;
    }
    receivedBytes() {
      this.looks += 1;
      this.#bytes += this.bytesPerLook;
      return Promise.resolve(this.#bytes);
    }
    limit(step: string) {
      this.steps.push(step);
      return Promise.resolve();
    }
  }

  test('[MS33] makes a bounded number of calls per round, measures every peer, and those above the limit each time', async () => {
    let nowMs = 0;
    const flooder = new Sender(10_000_000);
    const others = Array.from({ length: 200 }, () => new Sender(100));
    const viewer: LimitedPeer = {
      closed: false,
      sources: () => [],
      receivedBytes: () => undefined,
      limit: () => Promise.reject(new Error('never')),
    };
    const faults: unknown[] = [];
    const watch = limitIncoming<LimitedPeer>({
      peers: () => [viewer, ...others, flooder],
      limits: DEFAULT_INCOMING_LIMITS,
      clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
      timers: { after: () => () => undefined },
      onStep: () => undefined,
      onFault: (_where, fault) => faults.push(fault),
    });
    const looksOf = () => [flooder, ...others].reduce((sum, { looks }) => sum + looks, 0);
    for (let turn = 0; turn < 60; turn += 1) {
      const before = looksOf();
      nowMs += 1_000;
      await watch.runRound();
      expect(looksOf() - before).toBe(PEERS_PER_ROUND);
    }
    expect(Math.min(...others.map(({ looks }) => looks))).toBeGreaterThan(3);
    expect(others.every(({ steps }) => steps.length === 0)).toBe(true);
    expect(flooder.steps).toEqual(['warned', 'paused', 'ended', 'dropped']);
    expect(faults).toEqual([]);
  });
});
