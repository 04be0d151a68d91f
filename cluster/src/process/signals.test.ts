import { describe, expect, it } from 'vitest';
import { drainThenStop } from './signals.ts';

describe('a signal to end', () => {
  it('[DR7] drains first, and stops when the drain is done', async () => {
    const stops: string[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const signal = drainThenStop(
      () => promise,
      (why) => stops.push(why),
    );
    signal('SIGTERM');
    expect(stops).toEqual([]);
    resolve(undefined);
    await promise;
    expect(stops).toEqual(['SIGTERM']);
  });

  it('[DR26] that arrives a second time stops at once, and the end of the drain does not stop again', async () => {
    const stops: string[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const signal = drainThenStop(
      () => promise,
      (why) => stops.push(why),
    );
    signal('SIGTERM');
    signal('SIGINT');
    expect(stops).toEqual(['SIGINT']);
    resolve(undefined);
    await promise;
    expect(stops).toEqual(['SIGINT']);
  });

  it('[DR7] stops at once if there is nothing to drain', () => {
    const stops: string[] = [];
    drainThenStop(
      () => undefined,
      (why) => stops.push(why),
    )('SIGTERM');
    expect(stops).toEqual(['SIGTERM']);
  });
});
