import type { RtpCapabilities, RtpParameters } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';

/** mediasoup knows this extension and mediasoup-client does not; a browser that is not told of it sends without it. */
const UNKNOWN_TO_CLIENT = 'urn:ietf:params:rtp-hdrext:toffset';

type KnownExtension<Extension extends { uri: string }> = Extension & {
  uri: Exclude<Extension['uri'], typeof UNKNOWN_TO_CLIENT>;
};

function isKnown<Extension extends { uri: string }>(
  extension: Extension,
): extension is KnownExtension<Extension> {
  return extension.uri !== UNKNOWN_TO_CLIENT;
}

/** The protocol's capabilities as mediasoup-client takes them; a copy, since the device keeps what it is given. */
export function toClientCapabilities(capabilities: RtpCapabilities): types.RtpCapabilities {
  const { codecs, headerExtensions } = structuredClone(capabilities);
  return { codecs, headerExtensions: headerExtensions?.filter(isKnown) };
}

/** The protocol's RTP parameters as mediasoup-client takes them. */
export function toClientParameters(parameters: RtpParameters): types.RtpParameters {
  return { ...parameters, headerExtensions: parameters.headerExtensions?.filter(isKnown) };
}
