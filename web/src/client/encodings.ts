import type { TrackSource } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';

/** The encoding of a source. */
export interface EncodingPlan {
  readonly encodings?: types.RtpEncodingParameters[];
  readonly codecOptions?: types.ProducerCodecOptions;
  /** The codec's media type, unless the first common codec is used. */
  readonly mimeType?: string;
}

/**
 * Camera: three VP8 layers of 180, 360 and 720 lines. Every browser encodes and decodes VP8, and the media node selects a layer
 * for each viewer. Screen: one layer at full size and a low frame rate, because sharp text matters more than smooth motion.
 */
export function encodingPlan(source: TrackSource): EncodingPlan {
  switch (source) {
    case 'camera':
      return {
        mimeType: 'video/VP8',
        encodings: [
          { scaleResolutionDownBy: 4, maxBitrate: 150_000, scalabilityMode: 'L1T3' },
          { scaleResolutionDownBy: 2, maxBitrate: 500_000, scalabilityMode: 'L1T3' },
          { scaleResolutionDownBy: 1, maxBitrate: 1_500_000, scalabilityMode: 'L1T3' },
        ],
        // Without it Chromium starts at 300 kbit/s and sends only the smallest layer for the first seconds.
        codecOptions: { videoGoogleStartBitrate: 1_000 },
      };
    case 'screen':
      return {
        mimeType: 'video/VP8',
        encodings: [{ maxBitrate: 2_500_000, maxFramerate: 15 }],
        codecOptions: { videoGoogleStartBitrate: 1_500 },
      };
    case 'microphone':
      return {
        encodings: [{ maxBitrate: 40_000 }],
        codecOptions: { opusDtx: true, opusFec: true, opusStereo: false },
      };
    case 'screen-audio':
      return {
        encodings: [{ maxBitrate: 128_000 }],
        codecOptions: { opusDtx: false, opusFec: true, opusStereo: true },
      };
  }
}
