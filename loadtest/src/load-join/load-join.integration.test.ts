import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runK6 } from './run-k6.ts';
import { startTarget } from './target.ts';
import type { Target } from './target.ts';

let target: Target;
beforeAll(async () => {
  target = await startTarget();
});
afterAll(() => target.close());

const SHAPE = { vus: 3, iterations: 2, roomSize: 3, holdMs: 50 };

describe('k6/join.js', () => {
  it('joins, chats, reads events and leaves by the real protocol', async () => {
    const { passed, metrics, output } = await runK6(target, SHAPE);
    expect(output).not.toContain('level=error');
    expect(passed).toBe(true);
    expect(metrics['plenary_joined']?.values).toMatchObject({ passes: 6, fails: 0 });
    expect(metrics['checks']?.values).toMatchObject({ passes: 24, fails: 0 });
    expect(metrics['plenary_join_ms']?.values['max']).toBeGreaterThan(0);
    // Each person reads at least their own message.
    expect(metrics['plenary_events']?.values['count']).toBeGreaterThanOrEqual(6);
  });

  it('fails, with the code, when joins are refused', async () => {
    const credentials = { ...target.credentials, apiSecret: 'x'.repeat(40) };
    const { passed, metrics, output } = await runK6({ ...target, credentials }, { ...SHAPE, iterations: 1 });
    expect(passed).toBe(false);
    expect(metrics['plenary_joined']?.values).toMatchObject({ passes: 0, fails: 3 });
    expect(output).toContain('token_invalid');
  });
});
