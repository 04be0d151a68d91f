/**
 * The minimal SDP that libdatachannel needs to connect to a mediasoup transport. mediasoup has no SDP: its transport is an
 * ICE-lite, DTLS-server end whose parameters come as JSON. The bot's side has a single media section; all streams
 * go through it and are told apart by SSRC, so there is no renegotiation.
 */
import { DTLS_PARAMETERS } from '@plenary/cluster/protocol';
import type { DtlsParameters, TransportOffer } from '@plenary/cluster/protocol';
import { parse, write } from 'sdp-transform';

/** Means "see the candidates" (RFC 8839, 4.2.1.1). */
const NO_PORT = 9;

/**
 * The DTLS parameters to send with `join`, from a local description.
 * @throws Error if the description has no fingerprint
 */
export function readDtlsParameters(localSdp: string): DtlsParameters {
  const { fingerprint: ofSession, media } = parse(localSdp);
  const fingerprints = [ofSession, ...media.map(({ fingerprint }) => fingerprint)]
    .filter((fingerprint) => fingerprint !== undefined)
    .map(({ type, hash }) => ({ algorithm: type.toLowerCase(), value: hash.toUpperCase() }));
  return DTLS_PARAMETERS.parse({ role: 'client', fingerprints });
}

/**
 * The answer that mediasoup would give to the bot's offer if it had SDP.
 * @throws Error if the offer has not exactly one media section, or the transport no UDP candidate
 */
export function answerFor(localOffer: string, transport: TransportOffer): string {
  const [section, ...more] = parse(localOffer).media;
  if (section === undefined || more.length > 0)
    throw new Error('the offer must have exactly one media section');
  const { type, protocol, payloads = '', rtp, mid = '0', direction } = section;
  const candidates = transport.iceCandidates
    .filter((candidate) => candidate.protocol === 'udp')
    .map(({ foundation, priority, address, port }) => ({
      foundation,
      component: 1,
      transport: 'udp',
      priority,
      ip: address,
      port,
      type: 'host',
    }));
  if (candidates.length === 0) throw new Error('the transport has no UDP candidate');
  const { fingerprints } = transport.dtlsParameters;
  const fingerprint = fingerprints.find(({ algorithm }) => algorithm === 'sha-256') ?? fingerprints[0];
  const { usernameFragment, password } = transport.iceParameters;
  return write({
    version: 0,
    origin: {
      username: 'mediasoup',
      sessionId: 1,
      sessionVersion: 1,
      netType: 'IN',
      ipVer: 4,
      address: '0.0.0.0',
    },
    name: '-',
    timing: { start: 0, stop: 0 },
    icelite: 'ice-lite',
    groups: [{ type: 'BUNDLE', mids: mid }],
    msidSemantic: { semantic: 'WMS', token: '*' },
    media: [
      {
        type,
        port: NO_PORT,
        protocol,
        payloads,
        connection: { version: 4, ip: '0.0.0.0' },
        mid,
        direction: direction === 'recvonly' ? 'sendonly' : 'recvonly',
        rtcpMux: 'rtcp-mux',
        rtp,
        fmtp: [],
        setup: 'passive',
        iceUfrag: usernameFragment,
        icePwd: password,
        ...(fingerprint === undefined
          ? {}
          : { fingerprint: { type: fingerprint.algorithm, hash: fingerprint.value } }),
        candidates,
        endOfCandidates: 'end-of-candidates',
      },
    ],
  });
}
