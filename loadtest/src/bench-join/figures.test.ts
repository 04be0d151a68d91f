import { describe, expect, it } from 'vitest';
import { figure, formatTable } from '../table.ts';
import { parseBenchOptions } from './options.ts';
import { parseProcessStat } from './process-cpu.ts';
import { byLabel, difference, readMetric } from './prometheus.ts';
import { parseCommandStats } from './redis-commands.ts';
import { judge } from './report.ts';
import { summarise } from './statistics.ts';

describe('summarise', () => {
  it('gives measured figures', () => {
    expect(summarise([5, 1, 4, 2, 3])).toEqual({ count: 5, p50: 3, p95: 5, worst: 5 });
    expect(summarise(Array.from({ length: 100 }, (_, index) => index + 1))).toEqual({
      count: 100,
      p50: 50,
      p95: 95,
      worst: 100,
    });
    expect(summarise([7])).toEqual({ count: 1, p50: 7, p95: 7, worst: 7 });
    expect(summarise([])).toBeUndefined();
  });
});

describe('parseProcessStat', () => {
  it('reads CPU time behind a name with brackets and spaces', () => {
    const stat = '77 (a) b (c)) S 12 77 77 0 -1 4194560 1 0 0 0 150 50 9 9 20 0 1 0 100 0 0';
    expect(parseProcessStat(stat)).toMatchObject({ pid: 77, parentPid: 12, name: 'a) b (c)', cpuSeconds: 2 });
  });
});

describe('Prometheus text', () => {
  const text = [
    '# HELP plenary_calls_total Calls',
    '# TYPE plenary_calls_total counter',
    'plenary_calls_total{method="router.createWebRtcTransport",worker="0"} 4',
    'plenary_calls_total{method="router.createWebRtcTransport",worker="1"} 2',
    'plenary_calls_total{method="say \\"hi\\""} 1e3',
    'plenary_calls_total_other 9',
    'plenary_peers 7',
  ].join('\n');

  it('reads samples with and without labels', () => {
    expect(readMetric(text, 'plenary_peers')).toEqual([{ labels: {}, value: 7 }]);
    expect(byLabel(text, 'plenary_calls_total', 'method')).toEqual(
      new Map([
        ['router.createWebRtcTransport', 6],
        ['say \\"hi\\"', 1_000],
      ]),
    );
  });

  it('gives the increase between two readings', () => {
    const before = new Map([
      ['a', 1],
      ['b', 2],
    ]);
    const after = new Map([
      ['a', 4],
      ['b', 2],
      ['c', 1],
    ]);
    expect(difference(before, after)).toEqual(
      new Map([
        ['a', 3],
        ['c', 1],
      ]),
    );
  });
});

it('reads the command statistics of Redis', () => {
  const text = '# Commandstats\r\ncmdstat_evalsha:calls=12,usec=3\r\ncmdstat_config|get:calls=2,usec=1\r\n';
  expect(parseCommandStats(text)).toEqual(
    new Map([
      ['evalsha', 12],
      ['config|get', 2],
    ]),
  );
});

describe('options', () => {
  it('have defaults, and accept given values', () => {
    expect(parseBenchOptions([])).toMatchObject({ bots: 100, rounds: 20, roundTrip: 50 });
    expect(parseBenchOptions(['--bots', '3', '--rounds', '0', '--json', 'x.json'])).toMatchObject({
      bots: 3,
      rounds: 0,
      json: 'x.json',
    });
    expect(parseBenchOptions(['--help'])).toBe('help');
  });

  it('are refused by name when they are invalid', () => {
    expect(() => parseBenchOptions(['--bots', 'many'])).toThrow('--bots');
    expect(() => parseBenchOptions(['--concurrency', '0'])).toThrow('--concurrency');
    expect(() => parseBenchOptions(['--unknown'])).toThrow();
  });
});

it('judges only rows that have a goal', () => {
  const row = { joins: 1, steps: {}, server: null, samples: [], failures: [], warnings: [] };
  const firstFrame = { count: 1, p50: 250, p95: 1_200, worst: 1_200 };
  const aims = judge([
    { ...row, roundTripMs: 0, start: 'cold', firstFrame },
    { ...row, roundTripMs: 50, start: 'cold', firstFrame },
    { ...row, roundTripMs: 80, start: 'cold', firstFrame },
  ]);
  expect(aims.map(({ what, reached }) => [what, reached])).toEqual([
    ['loopback, cold, p50', true],
    ['50 ms round trip, cold, p50', true],
    ['50 ms round trip, cold, p95', false],
  ]);
});

it('formats tables and figures', () => {
  expect(figure(undefined)).toBe('–');
  expect([0, 0.123, 12.34, 1234.5].map(figure)).toEqual(['0', '0.12', '12.3', '1235']);
  expect(
    formatTable(
      ['name', 'n'],
      [
        ['a', '10'],
        ['long one', '5'],
      ],
    ),
  ).toBe('name       n\n--------  --\na         10\nlong one   5');
});
