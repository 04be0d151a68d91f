import { describe, expect, it } from 'vitest';
import { NodeAdmission } from './node-admission.ts';

describe('a media node takes new peers', () => {
  it.each([
    { lease: undefined, draining: false, stopping: false, refusal: undefined },
    { lease: 'lease_lapsed', draining: false, stopping: false, refusal: 'lease_lapsed' },
    { lease: undefined, draining: true, stopping: false, refusal: 'The media node is draining.' },
    { lease: 'lease_lapsed', draining: true, stopping: false, refusal: 'The media node is draining.' },
    { lease: 'lease_pending', draining: true, stopping: true, refusal: 'The media node is stopping.' },
  ])('lease $lease, draining $draining, stopping $stopping: $refusal', (row) => {
    const admission = new NodeAdmission({ missing: () => row.lease });
    admission.setDraining(row.draining);
    if (row.stopping) admission.setStopping();
    expect(admission.refusal()).toBe(row.refusal);
  });

  it('again when a drain is cancelled', () => {
    const admission = new NodeAdmission({ missing: () => undefined });
    admission.setDraining(true);
    admission.setDraining(false);
    expect(admission.refusal()).toBeUndefined();
  });
});
