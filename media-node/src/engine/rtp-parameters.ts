import type { types } from 'mediasoup';
import { PlenaryError } from '@plenary/cluster';
import type { RtpParameters } from '@plenary/cluster';

/**
 * mediasoup's RTP parameters as the protocol's. Only what mediasoup leaves untyped, the codec settings, is looked at:
 * parsing the whole by its schema would cost a third of the `consume` that made it, in every one of a join's.
 * @throws PlenaryError `internal`
 */
export function toRtpParameters(parameters: types.RtpParameters): RtpParameters {
  if (hasPlainSettings(parameters)) return parameters;
  throw new PlenaryError('internal', 'mediasoup gave codec settings that the protocol does not carry.');
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
