import type { types } from 'mediasoup';
import { PlenaryError } from '@plenary/cluster';
import type { MediaKind, RtpParameters } from '@plenary/cluster';

/**
 * Types mediasoup's RTP parameters as the protocol's. Only the codec settings, which mediasoup leaves untyped, are
 * checked: parsing everything by the schema would cost a third of each `consume` call of a join.
 * @throws PlenaryError `internal`
 */
export function toRtpParameters(parameters: types.RtpParameters): RtpParameters {
  if (hasPlainSettings(parameters)) return parameters;
  throw new PlenaryError('internal', 'mediasoup gave codec settings that the protocol does not carry.');
}

/**
 * Makes the worker wait five seconds, not 1.5, before it treats the base layer of a silent video as ended (`dtx`;
 * SPEC NW8). A publisher that sends the video at all sends this layer, so its silence mostly means a lost path. A
 * layer that was treated as ended starts without history, so the packets lost meanwhile make it worthless for one to
 * two more seconds (mediasoup's `RtpStreamRecv::UpdateScore`). Layers above it are left as soon as before: senders
 * stop those all the time.
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
