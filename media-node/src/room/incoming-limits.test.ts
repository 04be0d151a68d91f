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

/** The step after each measurement of a peer that is above its limit in some of them. */
function stepsAfter(
  measurements: readonly boolean[],
  everyMs = 1_000,
  timesLimit = 1.0001,
): (string | undefined)[] {
  let excess = NO_EXCESS;
  return measurements.map((isAbove) => {
    const judged = judgeExcess(excess, isAbove ? timesLimit : 1, everyMs);
    excess = judged.excess;
    return judged.step;
  });
}
const above = (count: number): boolean[] => Array.from({ length: count }, () => true);
const within = (count: number): boolean[] => Array.from({ length: count }, () => false);

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
    const steps = stepsAfter(above(40));

    expect(steps.map((step, index) => step && [index + 1, step]).filter(Boolean)).toEqual([
      [3, 'warned'],
      [8, 'paused'],
      [14, 'ended'],
      [24, 'dropped'],
    ]);
  });

  test('[MS29] is stopped sooner the more it sends, but never after one measurement', () => {
    const measurementsUntil = (step: string, timesLimit: number): number =>
      1 + stepsAfter(above(40), 1_000, timesLimit).indexOf(step);
    expect(measurementsUntil('paused', 1.7)).toBe(5);
    expect([
      measurementsUntil('warned', 100),
      measurementsUntil('paused', 100),
      measurementsUntil('ended', 100),
      measurementsUntil('dropped', 100),
    ]).toEqual([1, 2, 4, 6]);
  });

  test('[MS30] recovers as slowly as it exceeded, and is then warned again', () => {
    const belowAWarning = stepsAfter([...above(2), ...within(2), ...above(2)]);
    const warnedTwice = stepsAfter([...above(4), ...within(4), ...above(3)]);
    const mostlyAbove = stepsAfter(Array.from({ length: 200 }, (_, index) => index % 4 !== 0));

    expect(belowAWarning).not.toContain('warned');
    expect(warnedTwice.filter((step) => step === 'warned')).toHaveLength(2);
    expect(mostlyAbove).toContain('ended');
  });

  test('[MS32] is not charged for time without measurements', () => {
    expect(stepsAfter(above(2), 60_000)).toEqual([undefined, 'warned']);
  });
});

describe('the guard of incoming bitrates', () => {
  class Sender implements LimitedPeer {
    closed = false;
    measurements = 0;
    #bytes = 0;
    readonly steps: string[] = [];
    readonly bytesPerMeasurement: number;
    constructor(bytesPerMeasurement: number) {
      this.bytesPerMeasurement = bytesPerMeasurement;
    }
    sources() {
      return ['microphone'] as const;
    }
    receivedBytes() {
      this.measurements += 1;
      this.#bytes += this.bytesPerMeasurement;
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
    const guard = limitIncoming<LimitedPeer>({
      peers: () => [viewer, ...others, flooder],
      limits: DEFAULT_INCOMING_LIMITS,
      clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
      timers: { after: () => () => undefined },
      onStep: () => undefined,
      onFault: (_where, fault) => faults.push(fault),
    });
    const measured = () => [flooder, ...others].reduce((sum, { measurements }) => sum + measurements, 0);

    for (let turn = 0; turn < 60; turn += 1) {
      const before = measured();
      nowMs += 1_000;
      await guard.runRound();
      expect(measured() - before).toBe(PEERS_PER_ROUND);
    }

    expect(Math.min(...others.map(({ measurements }) => measurements))).toBeGreaterThan(3);
    expect(others.every(({ steps }) => steps.length === 0)).toBe(true);
    expect(flooder.steps).toEqual(['warned', 'paused', 'ended', 'dropped']);
    expect(faults).toEqual([]);
  });
});
