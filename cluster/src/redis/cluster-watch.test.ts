import { describe, expect, it } from 'vitest';
import { reachOf } from './cluster-watch.ts';

const info = (state: string, slotsOk: number): string =>
  `cluster_enabled:1\r\ncluster_state:${state}\r\ncluster_slots_ok:${slotsOk}\r\n`;

describe('how much of a Redis Cluster answers', () => {
  it('[ST6] the reach is whole only while every master answers and every slot is served', () => {
    expect(reachOf({ masters: 3, answered: 3, info: info('ok', 16_384) })).toBe('whole');
    expect(reachOf({ masters: 3, answered: 2, info: info('ok', 16_384) })).toBe('part');
    expect(reachOf({ masters: 3, answered: 3, info: info('ok', 10_923) })).toBe('part');
  });

  it('[ST6] the reach is none while no master answers, or the answering ones refuse to serve', () => {
    expect(reachOf({ masters: 3, answered: 0, info: '' })).toBe('none');
    expect(reachOf({ masters: 0, answered: 0, info: '' })).toBe('none');
    expect(reachOf({ masters: 3, answered: 2, info: info('fail', 10_923) })).toBe('none');
  });
});
