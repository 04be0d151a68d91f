import { describe, expect, test } from 'vitest';
import { opusParameters, vp8Parameters } from '../testing/rtp.ts';
import { patientWithBaseLayer } from './rtp-parameters.ts';

describe('patientWithBaseLayer', () => {
  test('[NW8] only the lowest of several layers is waited for longer', () => {
    const rtpParameters = { ...vp8Parameters(), encodings: [{ rid: 'r0' }, { rid: 'r1' }, { rid: 'r2' }] };
    expect(patientWithBaseLayer({ kind: 'video', rtpParameters })).toEqual({
      ...rtpParameters,
      encodings: [{ rid: 'r0', dtx: true }, { rid: 'r1' }, { rid: 'r2' }],
    });
  });

  test('audio, and video without layers, stay unchanged', () => {
    const { encodings: _, ...withoutEncodings } = vp8Parameters();
    const sound = opusParameters();
    expect(patientWithBaseLayer({ kind: 'video', rtpParameters: withoutEncodings })).toBe(withoutEncodings);
    expect(patientWithBaseLayer({ kind: 'audio', rtpParameters: sound })).toBe(sound);
  });
});
