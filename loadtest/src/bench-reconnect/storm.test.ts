import { describe, expect, it } from 'vitest';
import { share } from './reconnecting-crowd.ts';
import { parseStormOptions } from './options.ts';
import { parseMemory } from './process-memory.ts';
import { formatStormReport, judgeStorm } from './report.ts';
import type { StormResult } from './storm.ts';

const RESULT: StormResult = {
  how: 'kill',
  clients: 10,
  edges: 3,
  neverIn: [],
  socketsLost: 10,
  lost: 1,
  joinedAnew: 1,
  failures: [],
  resumeMs: { p50: 100, p95: 5_001, p99: 5_002, worst: 5_003 },
  overAfterMs: 5_100,
  mediaReopened: 0,
  malformed: 0,
  timedOut: 0,
  incomplete: 0,
  newcomers: { served: 3, failures: ['store_unavailable', 'store_unavailable'], joinMs: null },
  sessionsByEdge: { 'edge-gra-2': 4, 'edge-gra-3': 6 },
  resumesByResult: { ok: 10 },
  refusedConnections: {},
  redisCommandsPerResume: { evalsha: 3, xadd: 0.001 },
  processes: [{ id: 'edge-gra-2', cpuPercent: 50, cpuSeconds: 2.5, memoryBeforeMb: 100, memoryPeakMb: 200 }],
  cpuMsPerResume: 250,
  joinSeconds: 1,
};

describe('bench:reconnect', () => {
  it('has 5,000 people on one of three edges by default, and names invalid options', () => {
    expect(parseStormOptions([])).toMatchObject({ clients: 5_000, edges: 3, how: 'kill' });
    expect(parseStormOptions(['--how', 'flap', '--room-size', '5'])).toMatchObject({
      how: 'flap',
      roomSize: 5,
    });
    expect(() => parseStormOptions(['--edges', '1'])).toThrow('--edges');
    expect(() => parseStormOptions(['--how', 'melt'])).toThrow('--how');
  });

  it('distributes people evenly between processes', () => {
    expect(share(10, 3)).toEqual([4, 3, 3]);
    expect(share(2, 4)).toEqual([1, 1, 0, 0]);
  });

  it('reads a process’s memory in the kernel’s format', () => {
    const status = 'Name:\tnode\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n';
    expect(parseMemory(status)).toEqual({ now: 100, peak: 200 });
  });

  it('compares the figures with the goals', () => {
    expect(judgeStorm(RESULT).map(({ reached }) => reached)).toEqual([false, false, false]);
    const well = {
      ...RESULT,
      lost: 0,
      resumeMs: { p50: 1, p95: 5_000, p99: 9_000, worst: 9_000 },
      newcomers: { served: 3, failures: [], joinMs: null },
    };
    expect(judgeStorm(well).map(({ reached }) => reached)).toEqual([true, true, true]);
  });

  it('prints the figures as text', () => {
    const text = formatStormReport({
      takenAt: '2026-01-01T00:00:00.000Z',
      machine: { cores: 2, model: 'CPU', kernel: '6', node: 'v24', loadBefore: 0.5 },
      loadAfter: 3,
      result: RESULT,
      aims: judgeStorm(RESULT),
    });
    expect(text).toContain('1 people lost, 1 of them back by a new join');
    expect(text).toContain('newcomers refused: 2 × store_unavailable');
    expect(text).toContain('sessions now: edge-gra-2 4.00, edge-gra-3 6.00');
    expect(text).toMatch(/resume +10 +100 +5001 +5002 +5003/);
  });
});
