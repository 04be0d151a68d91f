import type { RtpCapabilities, RtpParameters } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';

/** mediasoup supports this header extension, mediasoup-client does not. A browser that never hears of it sends without it. */
const UNKNOWN_TO_CLIENT = 'urn:ietf:params:rtp-hdrext:toffset';

type KnownExtension<Extension extends { uri: string }> = Extension & {
  uri: Exclude<Extension['uri'], typeof UNKNOWN_TO_CLIENT>;
};

function isKnown<Extension extends { uri: string }>(
  extension: Extension,
): extension is KnownExtension<Extension> {
  return extension.uri !== UNKNOWN_TO_CLIENT;
}

/** Converts the protocol's capabilities for mediasoup-client. Returns a copy, because the device keeps the object. */
export function toClientCapabilities(capabilities: RtpCapabilities): types.RtpCapabilities {
  const { codecs, headerExtensions } = structuredClone(capabilities);
  return { codecs, headerExtensions: headerExtensions?.filter(isKnown) };
}

/** Converts the protocol's RTP parameters for mediasoup-client. */
export function toClientParameters(parameters: RtpParameters): types.RtpParameters {
  return { ...parameters, headerExtensions: parameters.headerExtensions?.filter(isKnown) };
}
