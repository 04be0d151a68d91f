import { describe, expect, it } from 'vitest';
import { parseLoadOptions } from './options.ts';
import { makePlan, refuseForeignTargets } from './plan.ts';

describe('refuseForeignTargets', () => {
  it('accepts loopback addresses', () => {
    refuseForeignTargets([
      'http://127.0.0.1:3000',
      'http://127.0.0.2',
      'http://localhost:1',
      'http://[::1]:3000',
    ]);
  });

  it.each([
    'http://192.168.0.1:3000',
    'https://meet.example.org',
    'http://127.0.0.1.example.org:3000',
    'http://localhost.example.org',
    'http://0.0.0.0:3000',
    'http://user@10.0.0.1',
  ])('refuses %s', (url) => {
    expect(() => {
      refuseForeignTargets(['http://127.0.0.1:3000', url]);
    }).toThrow(url);
  });
});

describe('makePlan', () => {
  const credentials = { apiKey: 'key', apiSecret: 'secret' };
  const shape = { roomSize: 5, holdMs: 10, vus: 2, iterations: 3 };

  it('contains what the script needs', () => {
    const plan = makePlan({ edgeUrls: ['http://127.0.0.1:3000/'], credentials }, shape, '/tmp/summary.json');
    expect(plan).toMatchObject({
      ...shape,
      ...credentials,
      edgeUrls: ['http://127.0.0.1:3000'],
      protocolVersion: 1,
    });
    expect(plan.rtpCapabilities.codecs.length).toBeGreaterThan(1);
  });

  it('refuses a cluster elsewhere, and one without edges', () => {
    expect(() => makePlan({ edgeUrls: ['http://10.0.0.1:3000'], credentials }, shape, '')).toThrow(
      'loopback',
    );
    expect(() => makePlan({ edgeUrls: [], credentials }, shape, '')).toThrow('no edge');
  });
});

describe('options', () => {
  it('have defaults, and accept given values', () => {
    expect(parseLoadOptions([])).toMatchObject({ vus: 10, duration: '15s', useRunning: false });
    expect(parseLoadOptions(['--vus', '3', '--iterations', '2', '--use-running'])).toMatchObject({
      vus: 3,
      iterations: 2,
      useRunning: true,
    });
  });

  it('are refused when they are invalid', () => {
    expect(() => parseLoadOptions(['--vus', '0'])).toThrow('--vus');
    expect(() => parseLoadOptions(['--duration', 'long'])).toThrow('--duration');
  });
});
