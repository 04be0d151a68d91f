import { describe, expect, it } from 'vitest';
import { datacenter } from '../testing/samples.ts';
import { orderDatacenters } from './datacenter-order.ts';
import type { DatacenterQuestion } from './datacenter-order.ts';

const [gra, sbg, rbx, waw] = ['gra', 'sbg', 'rbx', 'waw'].map(datacenter) as [
  DatacenterQuestion['own'],
  DatacenterQuestion['own'],
  DatacenterQuestion['own'],
  DatacenterQuestion['own'],
];
const order = (changes: Partial<DatacenterQuestion>) =>
  orderDatacenters({ hint: undefined, roundTrips: [], own: gra, configured: [], ...changes });
const measured = [
  { datacenter: rbx, roundTripMs: 30 },
  { datacenter: sbg, roundTripMs: 8.5 },
];

describe('orderDatacenters', () => {
  it('[PL9] begins with the token’s hint, then by latency, then the edge’s own, then as configured', () => {
    expect(order({ hint: waw, roundTrips: measured, configured: [rbx, gra] })).toEqual([waw, sbg, rbx, gra]);
    expect(order({ roundTrips: measured, configured: [waw] })).toEqual([sbg, rbx, gra, waw]);
    expect(order({ configured: [waw, sbg] })).toEqual([gra, waw, sbg]);
  });

  it('[PL22] among datacenters as near as the nearest, the edge’s own comes first, then as configured', () => {
    const near = [
      { datacenter: sbg, roundTripMs: 1 },
      { datacenter: waw, roundTripMs: 11.5 },
      { datacenter: gra, roundTripMs: 11 },
      { datacenter: rbx, roundTripMs: 9 },
    ];
    expect(order({ roundTrips: near })).toEqual([gra, sbg, rbx, waw]);
    expect(order({ roundTrips: near, configured: [waw, rbx] })).toEqual([gra, rbx, sbg, waw]);
    expect(order({ roundTrips: near, own: waw })).toEqual([sbg, rbx, gra, waw]);
  });

  it('[PL9] lists each datacenter once, at its best position', () => {
    expect(order({ hint: rbx, roundTrips: measured, configured: [rbx, sbg, gra] })).toEqual([rbx, sbg, gra]);
  });
});
