/**
 * The little SDP that libdatachannel needs to meet a mediasoup transport. mediasoup speaks no SDP: its transport is an
 * ICE-lite, DTLS-server end whose parameters come as JSON. The bot's side has one media section only; whatever streams
 * a consumer or a producer has go through it and are told apart by SSRC, so nothing is ever negotiated again.
 */
import { DTLS_PARAMETERS } from '@plenary/cluster/protocol';
import type { DtlsParameters, TransportOffer } from '@plenary/cluster/protocol';

const lines = (sdp: string): string[] => sdp.split(/\r\n|\n/);

/**
 * The DTLS parameters to send with `join`, from a local description.
 * @throws Error when the description has no fingerprint
 */
export function readDtlsParameters(localSdp: string): DtlsParameters {
  const fingerprints = lines(localSdp)
    .map((line) => /^a=fingerprint:(\S+) (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, algorithm, value]) => ({ algorithm: algorithm?.toLowerCase(), value: value?.toUpperCase() }));
  return DTLS_PARAMETERS.parse({ role: 'client', fingerprints });
}

/**
 * The answer that mediasoup would give to the bot's offer if it spoke SDP.
 * @throws Error when the offer has not exactly one media section, or the transport no UDP candidate
 */
export function answerFor(localOffer: string, transport: TransportOffer): string {
  const offered = lines(localOffer);
  const sections = offered.filter((line) => line.startsWith('m='));
  const [section] = sections;
  if (section === undefined || sections.length > 1)
    throw new Error('the offer must have exactly one media section');
  const mid = offered.find((line) => line.startsWith('a=mid:'))?.slice('a=mid:'.length) ?? '0';
  const direction = offered.includes('a=recvonly') ? 'sendonly' : 'recvonly';
  const candidates = transport.iceCandidates
    .filter(({ protocol }) => protocol === 'udp')
    .map(
      ({ foundation, priority, address, port }) =>
        `a=candidate:${foundation} 1 udp ${priority} ${address} ${port} typ host`,
    );
  if (candidates.length === 0) throw new Error('the transport has no UDP candidate');
  const { fingerprints } = transport.dtlsParameters;
  const fingerprint = fingerprints.find(({ algorithm }) => algorithm === 'sha-256') ?? fingerprints[0];
  return [
    'v=0',
    'o=mediasoup 1 1 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=ice-lite',
    `a=group:BUNDLE ${mid}`,
    'a=msid-semantic:WMS *',
    // Port 9 stands for "see the candidates" (RFC 8839, 4.2.1.1).
    section.replace(/^m=(\w+) \d+ /, 'm=$1 9 '),
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    `a=${direction}`,
    'a=rtcp-mux',
    ...offered.filter((line) => line.startsWith('a=rtpmap:')),
    'a=setup:passive',
    `a=ice-ufrag:${transport.iceParameters.usernameFragment}`,
    `a=ice-pwd:${transport.iceParameters.password}`,
    ...(fingerprint === undefined ? [] : [`a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`]),
    ...candidates,
    'a=end-of-candidates',
    '',
  ].join('\r\n');
}
