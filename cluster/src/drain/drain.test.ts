import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Drain } from './drain.ts';
import type { DrainEnd } from './drain.ts';
import { ASK_AGAIN_MS, DRAIN_TICK_MS, ELSEWHERE_WITHIN_MS, LEAST_BATCH } from './pace.ts';

/** A process with members that leave when the test says so. */
class Process {
  members: string[];
  isIdle = true;
  hasElsewhere = true;
  readonly asked: string[] = [];
  /** The members of `asked` that had been asked before. */
  readonly askedAgain: string[] = [];
  readonly changes: boolean[] = [];
  readonly drain: Drain<string>;

  constructor(count: number) {
    this.members = Array.from({ length: count }, (_, index) => `m${index}`);
    this.drain = new Drain<string>({
      clock: { monotonicMs: () => Date.now(), wallMs: () => Date.now() },
      members: () => this.members,
      isIdle: () => this.isIdle,
      hasElsewhere: () => this.hasElsewhere,
      ask: (member, isRepeated) => {
        this.asked.push(member);
        if (isRepeated) this.askedAgain.push(member);
      },
      cut: () => {
        this.members = [];
      },
      changed: (isDraining) => this.changes.push(isDraining),
    });
  }
}

describe('a drain', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[DR1] [DR9] without members ends at once, and admits nobody until it is cancelled', async () => {
    const { drain, changes } = new Process(0);
    expect(drain.isOn).toBe(false);
    expect(await drain.begin(1_000)).toBe('empty');
    expect(drain.status).toEqual({ state: 'drained', left: 0, gone: 0, cut: 0, remainingMs: null });
    expect([drain.isOn, changes]).toEqual([true, [true]]);
    drain.cancel();
    expect([drain.isOn, changes]).toEqual([false, [true, false]]);
  });

  it('[DR22] asks nobody while there is nowhere to go, for at most five seconds', () => {
    const [found, alone] = [new Process(2), new Process(2)];
    for (const process of [found, alone]) {
      process.hasElsewhere = false;
      void process.drain.begin(600_000);
    }
    vi.advanceTimersByTime(ELSEWHERE_WITHIN_MS - 2 * DRAIN_TICK_MS);
    expect([found.asked, alone.asked]).toEqual([[], []]);
    found.hasElsewhere = true;
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect([found.asked.length, alone.asked.length]).toEqual([2, 0]);
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect([found.asked.length, alone.asked.length]).toEqual([2, 2]);
    for (const { drain } of [found, alone]) drain.stop();
  });

  it('[DR2] asks a batch with each tick and ends when all have left', async () => {
    const process = new Process(LEAST_BATCH + 1);
    const ended = process.drain.begin(600_000);
    expect(process.asked).toHaveLength(LEAST_BATCH);
    process.members = process.members.filter((member) => !process.asked.includes(member));
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect(process.asked).toHaveLength(LEAST_BATCH + 1);
    expect(process.drain.status).toMatchObject({ state: 'draining', left: 1, gone: LEAST_BATCH });
    process.members = [];
    process.isIdle = false;
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect(process.drain.status.state).toBe('draining');
    process.isIdle = true;
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect(await ended).toBe('empty');
    expect(process.drain.status).toMatchObject({ left: 0, gone: LEAST_BATCH + 1, cut: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[DR10] [DR11] asks remaining members again, and disconnects them at the deadline', async () => {
    const process = new Process(1);
    const ended = process.drain.begin(2 * ASK_AGAIN_MS);
    expect(process.askedAgain).toEqual([]);
    vi.advanceTimersByTime(ASK_AGAIN_MS);
    expect(process.asked).toEqual(['m0', 'm0']);
    expect(process.askedAgain).toEqual(['m0']);
    vi.advanceTimersByTime(ASK_AGAIN_MS);
    expect(await ended).toBe('deadline');
    expect(process.drain.status).toEqual({ state: 'drained', left: 0, gone: 1, cut: 1, remainingMs: null });
  });

  it('[DR9] asks nobody after it is cancelled, and a new drain starts from the beginning', async () => {
    const process = new Process(LEAST_BATCH * 2);
    const first = process.drain.begin(600_000);
    process.drain.cancel();
    vi.advanceTimersByTime(DRAIN_TICK_MS * 4);
    expect(await first).toBe('cancelled');
    expect(process.asked).toHaveLength(LEAST_BATCH);
    const ends: DrainEnd[] = [];
    void process.drain.begin(600_000).then((end) => ends.push(end));
    expect(process.asked).toHaveLength(LEAST_BATCH * 2);
    process.drain.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[DR12] continues with another deadline if it is requested again', async () => {
    const process = new Process(1);
    const ended = process.drain.begin(600_000);
    expect(process.drain.begin(DRAIN_TICK_MS)).toBe(ended);
    expect(process.asked).toEqual(['m0']);
    vi.advanceTimersByTime(DRAIN_TICK_MS);
    expect(await ended).toBe('deadline');
    expect(process.changes).toEqual([true]);
  });
});
