import { describe, expect, it } from 'vitest';
import { humanLine, plainLine } from './logs.ts';

describe('humanLine', () => {
  it('shows warnings and errors without JSON', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: 'x',
      id: 'edge-1',
      kind: 'edge',
      msg: 'store is away',
      attempt: 3,
    });
    expect(humanLine('edge-1', line)).toBe('edge-1  warn: store is away  attempt=3');
  });

  it("shows an error's own words, and pino's numbers as names", () => {
    const line = JSON.stringify({
      level: 50,
      msg: 'worker died',
      err: { type: 'Error', message: 'signal 11', stack: 'long' },
    });
    expect(humanLine('media-1', line)).toBe('media-1  error: worker died  signal 11');
  });

  it('keeps information to the log files', () => {
    expect(humanLine('edge-1', JSON.stringify({ level: 'info', msg: 'listening' }))).toBeNull();
    expect(plainLine(JSON.stringify({ level: 'info', msg: 'listening' }))).toBe('info: listening');
  });

  it('shows what is no log line as it is', () => {
    expect(humanLine('edge-1', 'Error: boom')).toBe('edge-1  Error: boom');
    expect(humanLine('edge-1', '{"half')).toBe('edge-1  {"half');
  });
});
