import { describe, expect, it } from 'vitest';
import { describeStatus, exitCodeOf } from './progress.ts';

const status = { kind: 'media-node', id: 'media-1', left: 3, gone: 4, cut: 0, remainingMs: null } as const;

describe('the progress of a drain', () => {
  it('is told in a line', () => {
    expect(describeStatus({ ...status, state: 'serving' })).toBe('media-1 serves 3 people.');
    expect(describeStatus({ ...status, state: 'draining', remainingMs: 1_200 })).toBe(
      'media-1 drains: 3 people left, 4 gone; 2 s until the deadline.',
    );
    expect(describeStatus({ ...status, kind: 'edge', state: 'drained', cut: 2 })).toBe(
      'media-1 is drained: 4 sockets gone, 2 of them cut off at the deadline.',
    );
  });

  it('[DR25] ends with 0 when nobody was cut off, with 2 when somebody was, with 1 when it was cancelled', () => {
    expect(exitCodeOf({ state: 'draining', cut: 0 })).toBeUndefined();
    expect(exitCodeOf({ state: 'drained', cut: 0 })).toBe(0);
    expect(exitCodeOf({ state: 'drained', cut: 1 })).toBe(2);
    expect(exitCodeOf({ state: 'serving', cut: 0 })).toBe(1);
  });
});
