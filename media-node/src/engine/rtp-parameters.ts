import type { types } from 'mediasoup';
import { PlenaryError } from '@plenary/cluster';
import type { MediaKind, RtpParameters } from '@plenary/cluster';

/**
 * mediasoup's RTP parameters as the protocol's. Only what mediasoup leaves untyped, the codec settings, is looked at:
 * parsing the whole by its schema would cost a third of the `consume` that made it, in every one of a join's.
 * @throws PlenaryError `internal`
 */
export function toRtpParameters(parameters: types.RtpParameters): RtpParameters {
  if (hasPlainSettings(parameters)) return parameters;
  throw new PlenaryError('internal', 'mediasoup gave codec settings that the protocol does not carry.');
}

/**
 * Has the worker wait five seconds, not 1.5, before it takes the base layer of a video for ended (`dtx`; SPEC NW8). Who sends
 * the video at all sends this layer, so that its silence is mostly a path that was lost; and a layer that counts as ended
 * begins anew without a past, so that what was lost meanwhile makes it worthless for one to two seconds more (mediasoup's
 * `RtpStreamRecv::UpdateScore`). From the layers above viewers are taken as soon as before: senders give those up all the time.
 */
export function patientWithBaseLayer(track: {
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
}): RtpParameters {
  const { kind, rtpParameters } = track;
  const [base, ...above] = rtpParameters.encodings ?? [];
  if (kind !== 'video' || base === undefined) return rtpParameters;
  return { ...rtpParameters, encodings: [{ ...base, dtx: true }, ...above] };
}

function hasPlainSettings(
  parameters: types.RtpParameters,
): parameters is types.RtpParameters & RtpParameters {
  return parameters.codecs.every((codec) => isPlainRecord(codec.parameters));
}

function isPlainRecord(settings: unknown): boolean {
  if (settings === undefined) return true;
  if (typeof settings !== 'object' || settings === null) return false;
  return Object.values(settings).every((value) => ['string', 'number', 'boolean'].includes(typeof value));
}
