import { describe, expect, test } from 'vitest';
import { opusParameters, vp8Parameters } from '../testing/rtp.ts';
import { patientWithBaseLayer } from './rtp-parameters.ts';

describe('patientWithBaseLayer', () => {
  test('[NW8] of several layers only the lowest one is waited for longer', () => {
    const rtpParameters = { ...vp8Parameters(), encodings: [{ rid: 'r0' }, { rid: 'r1' }, { rid: 'r2' }] };
    expect(patientWithBaseLayer({ kind: 'video', rtpParameters })).toEqual({
      ...rtpParameters,
      encodings: [{ rid: 'r0', dtx: true }, { rid: 'r1' }, { rid: 'r2' }],
    });
  });

  test('what has no layers, and sound, is left as it is', () => {
    const { encodings: _, ...withoutEncodings } = vp8Parameters();
    const sound = opusParameters();
    expect(patientWithBaseLayer({ kind: 'video', rtpParameters: withoutEncodings })).toBe(withoutEncodings);
    expect(patientWithBaseLayer({ kind: 'audio', rtpParameters: sound })).toBe(sound);
  });
});
